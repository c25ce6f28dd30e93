import msgspec

from motet import App, Draft, State, emit, event

app = App("counting")


@event("page.viewed")
class PageViewed(msgspec.Struct):
    url: str


@app.on("views")
def count(view: PageViewed, state: State) -> Draft:
    views = (state.get(int) or 0) + 1
    state.put(views)
    return emit("counts", {"url": view.url, "views": views}, type="page.counted")


@app.on("counts", "page.counted", group="milestones", where=lambda page: page["views"] % 1000 == 0)
def celebrate(page: dict[str, object]) -> Draft:
    return emit("milestones", page, type="milestone.reached")
