from shop import app

from motet.testing import handle, make_event


def placed(number, quantity):
    data = {"sku": "screw", "quantity": quantity}
    return make_event(number, type="order.placed", key="screw", data=data)


def test_an_order_takes_from_what_is_left():
    # given 10 screws, when two orders come in
    handled = handle(app, "orders", placed(1, 3), placed(2, 2), state={"screw": 10})

    # then there are 5 left, and both are answered
    assert handled.state == {"screw": 5}
    assert [each.data["left"] for each in handled.emitted] == [7, 5]
    assert handled.failed == ()


def test_the_first_order_begins_with_what_is_there_on_the_first_day():
    assert handle(app, "orders", placed(1, 3)).state == {"screw": 999_997}


def test_an_unknown_sku_fails_and_leaves_no_trace():
    nail = make_event(1, type="order.placed", key="nail", data={"sku": "nail", "quantity": 1})

    handled = handle(app, "orders", nail)

    assert [type(error) for error in handled.failed] == [KeyError]
    assert (handled.emitted, handled.state) == ((), {})
