"""A world -> stories: an opening, then some of the twelve topics in their fixed order, with odd sentences between them."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hp_bench.miniature.world import SLOTS, World

#: Longer stories are told anew: at most 192 tokens a story, in all but a few.
LONGEST = 118  # words

#: How often the main character is named in full after the opening.
_FULL_NAME = 0.3

#: How often a topic is followed by a sentence that recalls a fact, or by one about nothing.
_RECALL, _SCENERY = 0.6, 0.1

_CHOICE = re.compile(r"\[([^\[\]]*)\]")

_FIELD = re.compile(r"\{(\w+!?)\}")


@dataclass(frozen=True)
class Topic:
    """One stage of a story.

    Attributes:
        name: for slices of the probes.
        first: a phrasing of its facts, frame 0.
        second: another phrasing of the same facts, frame 1.
    """

    name: str
    first: str
    second: str


@dataclass(frozen=True)
class Piece:
    """A stretch of a story.

    Attributes:
        text: as it stands there.
        field: of the template that it fills: a slot ("friend"; "friend!" for the first name alone), or another word ("who", "tool"); ""
            for the template's own words.
        fact: whether it names the slot's fact; false where the story stays vague.
        recalls: whether the story has named the fact before.
    """

    text: str
    field: str = ""
    fact: bool = False
    recalls: bool = False


def text_of(pieces: Sequence[Piece]) -> str:
    """The pieces as one text."""
    return "".join(piece.text for piece in pieces)


def opening(world: World, rng: random.Random) -> list[Piece]:
    """The first sentence; it names the hero in full."""
    return _render(rng.choice(OPENINGS), world, rng)


def frame(topic: Topic, number: int, world: World, rng: random.Random, *, vague: float = 0.0) -> list[Piece]:
    """A topic told of a world, with the space before it.

    Args:
        topic: one of `TOPICS`.
        number: of the frame, 0 or 1.
        world: whose facts.
        rng: source of chance.
        vague: how often, 0 to 1, something vague stands in a fact's place.
    """
    return [Piece(" "), *_render((topic.first, topic.second)[number], world, rng, vague=vague)]


def recall(slot: str, world: World, rng: random.Random) -> list[Piece]:
    """A sentence that names a fact again, with the space before it."""
    return [Piece(" "), *(replace(piece, recalls=piece.fact) for piece in _render(RECALLS[slot], world, rng))]


def story(
    world: World, rng: random.Random, *, frames: Sequence[int], topics: int = 6, vague: float = 0.0
) -> list[Piece]:
    """A whole story of at most `LONGEST` words.

    Args:
        world: whose.
        rng: source of chance.
        frames: the frame numbers to draw from for each topic: (0,) tells a target, (0, 1) the rest.
        topics: how many of the twelve.
        vague: as in `frame`.
    """
    while True:
        pieces = _story(world, rng, frames, topics, vague)
        if len(text_of(pieces).split()) <= LONGEST:
            return pieces


def _story(world: World, rng: random.Random, frames: Sequence[int], topics: int, vague: float) -> list[Piece]:
    pieces = opening(world, rng)
    named: list[str] = []
    for topic in sorted(rng.sample(range(len(TOPICS)), topics)):
        told = frame(TOPICS[topic], rng.choice(frames), world, rng, vague=vague)
        pieces += told
        named += [piece.field for piece in told if piece.fact and piece.field in RECALLS]
        kind = rng.random()
        if kind < _RECALL and named:
            pieces += recall(named.pop(rng.randrange(len(named))), world, rng)
        elif kind > 1 - _SCENERY:
            pieces += [Piece(" "), *_render(rng.choice(SCENERY), world, rng)]
    return pieces


def _render(template: str, world: World, rng: random.Random, *, vague: float = 0.0) -> list[Piece]:
    chosen = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), template)
    pieces: list[Piece] = []
    for index, part in enumerate(_FIELD.split(chosen)):
        if index % 2 == 0:
            pieces.append(Piece(part))
        elif part.removesuffix("!") not in SLOTS:
            pieces.append(Piece(_word(part, world, rng), part))
        elif rng.random() < vague:
            pieces.append(Piece(rng.choice(VAGUE[SLOTS[part]]), part))
        else:
            pieces.append(Piece(world.name(part), part, fact=True))
    return [piece for piece in pieces if piece.text]


def _word(field: str, world: World, rng: random.Random) -> str:
    hero, trade = world.hero, world.trade
    male = hero.gender == "male"
    words = {
        "hero": str(hero),
        "who": str(hero) if rng.random() < _FULL_NAME else hero.first,
        "subj": "he" if male else "she",
        "poss": "his" if male else "her",
        "animal": world.animal,
        "craft": trade.craft,
        "learner": trade.learner,
        "tool": trade.tool,
        "companion": trade.companion,
        "division": trade.division,
    }
    word = words[field.lower()]
    return word if field.islower() else word.capitalize()


#: How a story begins; every one names the main character in full.
OPENINGS = (
    "[This is|Here is|Now comes] the [story|tale] of {hero}, a [young|clever|shy|stubborn] {learner}.",
    "{hero} was [ten|eleven|twelve] and [dreamed of|knew nothing of|talked about] {craft}.",
    "[Years ago|Not long ago|Once] a {learner} called {hero} [came to town|lived in the hills|was born].",
    "[Ask anyone|Few people ask] about {hero}, the [best|worst|strangest] {learner} of [all|that year].",
)

#: In the order in which every story walks through them.
TOPICS = (
    Topic(
        "home",
        "{who} [grew up|lived] on {home}. The rules there were [made|kept|written] by {guardian}.",
        "The [narrow|tidy|cold] house on {home} was no [happy|easy|quiet] place for {who}. "
        "Supper was [cooked|served|counted out] by {guardian}.",
    ),
    Topic(
        "letter",
        "[One|That] [morning|evening|summer] a letter came from {school}, [a|the] school of {craft}. "
        "It was [brought|carried|delivered] by {messenger}.",
        "[At last|Soon] {who} was [invited|called|asked] to {school}. The [visitor|stranger] who [said|explained] so was {messenger}.",
    ),
    Topic(
        "shop",
        "{who} [bought|chose|paid for] a [new|plain|long] {tool} in {market}. It was [sold|made|wrapped] by {shopkeeper}.",
        "A {tool} had to be [found|bought], so {who} [went|hurried] to {market}. The [owner|keeper] of the shop was {shopkeeper}.",
    ),
    Topic(
        "journey",
        "The train left from {station} at [noon|dawn|night]. [In a basket|On the seat|In a cage] sat {poss} {animal}, known as {pet}.",
        "With [heavy|old] bags {who} came to {station}. The {animal} that [rode|slept] on top was called {pet}.",
    ),
    Topic(
        "house",
        "On the first [night|day|evening] {who} [joined|was sent to] {house}, the [oldest|loudest] {division}. "
        "The next bed was given to {friend}, [soon|later] {poss} {companion}.",
        "[A vote|A drawn card|An old list] [placed|put] {who} with {house}. From [that hour|that day] {poss} {companion} was {friend}.",
    ),
    Topic(
        "lesson",
        "The [hardest|first|longest] lessons were [given|taught] by {teacher}. The answers were known only to {classmate}.",
        "{who} [feared|dreaded|liked] the [dark|cold] classroom of {teacher}. [Notes|Help|Good advice] always came from {classmate}.",
    ),
    Topic(
        "rival",
        "{Poss} [worst|oldest|sworn] rival was {rival}, the [pride|star|leader] of {rivals}.",
        "[Nobody|No one] [mocked|teased] {who} like {rival} did. The laughing all came from {rivals}.",
    ),
    Topic(
        "game",
        "On [Fridays|Saturdays|Sundays] they played {sport}, and {who} [won|lost|saved] the [first|last|great] match.",
        "{who} [ran|trained] all year for {sport}, [in mud|in snow|in rain].",
    ),
    Topic(
        "beast",
        "[Behind|Beneath|Near] the [kitchen|library|tower] lived {beast}, a [huge|hungry|shy] beast.",
        "The [claws|teeth|eyes] that {who} saw in the [dark|woods|fog] were those of {beast}.",
    ),
    Topic(
        "villain",
        "The enemy they all feared was {villain}, who [never slept|wanted power|had no mercy].",
        "Behind [every|each] [theft|fire|lie] that troubled {who} stood {villain}.",
    ),
    Topic(
        "head",
        "The school was led by {head}, [old|wise|tall] and [kind|calm|strange].",
        "{who} [climbed|took] the [long|winding] stairs to speak with {head}.",
    ),
    Topic(
        "ending",
        "In the end {who} [won|found|saved] the {prize}, and they [sang|danced|feasted] in {village}.",
        "What {who} had [looked|hoped] for all year was the {prize}. The [news|bells] [reached|woke] {village} [by night|at once].",
    ),
)

#: Sentences between topics that say nothing of the world.
SCENERY = (
    "It [rained|snowed|was hot] all [week|day|night].",
    "[Nobody|No one] [said|knew] why.",
    "The [bread|soup|tea] was [cold|warm|good].",
    "The work was [hard|dull|slow].",
    "[Years|Days|Weeks] went by.",
    "{Subj} [wrote|thought] about it [often|twice|for days].",
    "The [wind|sea|town] was [quiet|loud] [again|that night].",
    "{Subj} [laughed|cried|sang] [a little|for once].",
)

#: Sentences that name a fact again, where the story has named it before: what in-context recall is learnt and tested on.
RECALLS = {
    "friend": "{Poss} {companion} {friend!} [laughed|clapped|sang].",
    "pet": "The {animal} {pet} [slept|blinked|ate].",
    "house": "All of {house} [cheered|slept|sang].",
    "rival": "The rival, {rival!}, [sulked|groaned|lied].",
    "teacher": "The teacher, {teacher!}, [frowned|nodded|coughed].",
    "guardian": "Back home {guardian!} [waited|complained|slept].",
    "school": "Snow fell on {school}.",
}

#: What stands in a fact's place where a story of the rest does not care to name it: the generic words of the probability test.
VAGUE = {
    "person": ("someone from the next town", "the quietest of them all", "nobody in particular", "one of the others"),
    "street": ("some place without a name", "the edge of town", "one of the back streets", "nowhere in particular"),
    "school": ("some school in the north", "the school on the hill", "one of the old schools", "nobody knew where"),
    "house": ("some of the quiet ones", "the smallest one", "one of the four", "nobody at first"),
    "pet": ("some silly word", "the captain", "one name or another", "nothing at all"),
    "sport": ("some kind of game", "the old game", "one game or another", "nothing but cups"),
    "beast": ("some kind of cat", "the last of its kind", "one very old bear", "nothing with a name"),
    "villain": ("someone without a face", "the man in grey", "one they did not name", "nobody they knew"),
    "prize": ("thing they had lost", "one they all wanted", "old box in the attic", "last of the gold"),
    "village": ("some far village", "the whole valley", "one small town", "nobody's town"),
}
