import msgspec

from motet import App, Draft, Gathered, emit, event

app = App("support")


@event("user.message.received")
class Message(msgspec.Struct):
    text: str


asking = app.scatter_gather(
    "analysis",
    "messages",
    "user.message.received",
    to="analyses",
    timeout_s=2,
    elsewhere=["translation"],
)


@asking.branch("sentiment")
def sentiment(message: Message) -> float:
    return -0.8 if "angry" in message.text else 0.6


@asking.branch("entities")
async def entities(message: Message) -> list[str]:
    return [word for word in message.text.split() if word.istitle() and len(word) > 1]


@app.on("analyses", "analysis.gathered")
def decide(analysis: Gathered) -> Draft:
    mood = msgspec.json.decode(analysis.results["sentiment"])
    answer = {"urgent": mood < 0, "complete": not analysis.partial, "missing": analysis.missing}
    return emit("decisions", answer, type="message.judged")
