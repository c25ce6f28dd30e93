"""The distributions of CDNOW as tables of quantiles, for where the file itself cannot be fetched.

Computed by `fit_distributions` from the 69,659 purchases; a test recomputes them where the file can
be fetched. They are summary statistics: the value at each probability of `GRID_PERMILLE`, column by
column, and no row of the data.
"""

from __future__ import annotations

import bisect
import random

import msgspec

GRID_PERMILLE: tuple[int, ...] = (0, 1, 5, 10, *range(25, 1000, 25), 990, 995, 999, 1000)
GAP_CLASSES = (2, 3, 5, 9, 17, 33)  # least number of purchases of each class of customers
QUANTITY_CLASSES = (1, 2, 3, 5, 9)  # least number of units of each class of purchases


class Quantiles(msgspec.Struct, frozen=True):
    """A distribution over whole numbers, given by its values at `GRID_PERMILLE`."""

    values: tuple[int, ...]

    def at(self, share: float) -> int:
        """Gives the value that `share` of the draws do not pass; linear between the points."""
        permille = share * 1000
        right = max(1, bisect.bisect_left(GRID_PERMILLE, permille))
        low, high = GRID_PERMILLE[right - 1], GRID_PERMILLE[right]
        part = (permille - low) / (high - low)
        return round(self.values[right - 1] + part * (self.values[right] - self.values[right - 1]))

    def draw(self, rng: random.Random) -> int:
        """Draws one value; takes exactly one number from `rng`."""
        return self.at(rng.random())


def gap_days(purchases: int) -> Quantiles:
    """Gives the days from one purchase to the next, of a customer who makes so many in all."""
    return GAP_DAYS[max(0, bisect.bisect_right(GAP_CLASSES, purchases) - 1)]


def unit_price_cents(quantity: int) -> Quantiles:
    """Gives the price of a unit when so many are bought at once, in US cents."""
    return UNIT_PRICE_CENTS[bisect.bisect_right(QUANTITY_CLASSES, quantity) - 1]


FIRST_DAY_OFFSET = Quantiles((
    0, 0, 0, 1, 2, 5, 7, 10, 12, 15, 17, 19, 22, 24, 26, 28, 30, 32, 34, 36, 37, 39, 41, 43, 45,
    47, 49, 51, 54, 55, 57, 59, 61, 63, 65, 67, 68, 70, 72, 75, 77, 79, 81, 83, 83, 83, 83,
))  # fmt: skip
PURCHASES_PER_CUSTOMER = Quantiles((
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2,
    3, 3, 3, 4, 4, 4, 5, 5, 6, 8, 9, 13, 20, 25, 47, 217,
))  # fmt: skip
QUANTITY = Quantiles((
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    3, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 8, 11, 14, 23, 99,
))  # fmt: skip
UNIT_PRICE_CENTS = (  # one for each of QUANTITY_CLASSES
    Quantiles((
        0, 0, 299, 479, 599, 798, 949, 998, 1077, 1149, 1177, 1177, 1177, 1188, 1249, 1249, 1277,
        1299, 1299, 1390, 1397, 1397, 1399, 1437, 1437, 1449, 1496, 1496, 1496, 1499, 1536, 1536,
        1549, 1596, 1670, 1790, 1949, 1999, 2199, 2449, 2777, 3149, 4199, 6090, 7877, 14677, 30599,
    )),
    Quantiles((
        99, 299, 499, 579, 774, 927, 998, 1049, 1088, 1138, 1177, 1177, 1204, 1227, 1249, 1267,
        1287, 1299, 1306, 1324, 1336, 1349, 1374, 1397, 1399, 1417, 1437, 1446, 1466, 1478, 1496,
        1499, 1520, 1546, 1576, 1624, 1699, 1784, 1888, 1999, 2174, 2449, 2999, 3807, 4927, 7999,
        18349,
    )),
    Quantiles((
        249, 466, 582, 679, 857, 978, 1049, 1099, 1136, 1166, 1184, 1210, 1225, 1249, 1257, 1270,
        1284, 1299, 1312, 1324, 1337, 1357, 1370, 1383, 1397, 1408, 1418, 1432, 1448, 1462, 1476,
        1490, 1503, 1524, 1550, 1591, 1642, 1699, 1770, 1859, 1978, 2188, 2599, 3222, 3695, 5999,
        12462,
    )),
    Quantiles((
        299, 419, 591, 682, 861, 999, 1084, 1128, 1160, 1181, 1207, 1227, 1244, 1257, 1274, 1289,
        1301, 1317, 1328, 1339, 1351, 1365, 1377, 1388, 1399, 1409, 1420, 1432, 1445, 1456, 1469,
        1482, 1497, 1513, 1536, 1564, 1601, 1649, 1699, 1789, 1878, 2015, 2341, 2909, 3424, 5137,
        8809,
    )),
    Quantiles((
        349, 499, 669, 710, 888, 1015, 1093, 1144, 1182, 1204, 1225, 1246, 1263, 1279, 1294, 1305,
        1318, 1330, 1340, 1349, 1359, 1368, 1379, 1386, 1397, 1404, 1417, 1427, 1440, 1450, 1465,
        1475, 1491, 1514, 1536, 1565, 1596, 1619, 1663, 1710, 1774, 1937, 2157, 2556, 2931, 3963,
        5333,
    )),
)  # fmt: skip
GAP_DAYS = (  # one for each of GAP_CLASSES
    Quantiles((
        0, 0, 0, 0, 0, 1, 4, 6, 8, 11, 13, 16, 20, 24, 28, 33, 38, 44, 51, 59, 68, 79, 92, 105,
        117, 132, 146, 159, 172, 189, 210, 231, 250, 266, 282, 301, 324, 348, 368, 390, 410, 436,
        465, 489, 506, 524, 533,
    )),
    Quantiles((
        0, 0, 0, 0, 1, 3, 5, 7, 9, 12, 15, 18, 21, 24, 28, 32, 36, 41, 45, 51, 57, 63, 69, 78, 86,
        94, 103, 112, 121, 132, 144, 154, 168, 180, 193, 209, 227, 247, 266, 290, 316, 348, 391,
        435, 458, 490, 525,
    )),
    Quantiles((
        0, 0, 0, 0, 0, 2, 4, 5, 7, 9, 11, 13, 15, 17, 19, 21, 24, 26, 29, 32, 35, 38, 42, 45, 49,
        54, 58, 63, 69, 74, 80, 86, 94, 102, 111, 121, 132, 146, 161, 178, 202, 232, 283, 334,
        359, 424, 476,
    )),
    Quantiles((
        0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13, 14, 16, 17, 19, 20, 22, 24, 26, 28, 30,
        32, 35, 37, 40, 43, 47, 51, 55, 60, 66, 72, 79, 89, 101, 116, 134, 171, 218, 251, 298, 360,
    )),
    Quantiles((
        0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
        19, 20, 21, 23, 25, 27, 29, 31, 34, 37, 42, 46, 51, 60, 75, 99, 132, 153, 218, 426,
    )),
    Quantiles((
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6, 7, 7,
        8, 9, 9, 10, 12, 13, 14, 16, 18, 22, 27, 31, 41, 60, 74, 138, 215,
    )),
)  # fmt: skip
