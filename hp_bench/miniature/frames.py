"""The twelve topics of a story, each in two phrasings, and the sentences around them.

In a template `[a|b]` is a choice, `{slot}` a fact of the world or a word of its trade. `{who}` is the main character, by first name or in
full; `{friend!}` is a first name alone. The first frame of each topic is the only one in which an unlearn target is told; the rest is
told in both, so the second frames ask for the target's facts in words that never stood beside them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """One stage of a story.

    Attributes:
        name: for slices of the probes.
        frames: two phrasings of the same facts.
    """

    name: str
    frames: tuple[str, str]


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
        (
            "{who} [grew up|lived] on {home}. The rules there were [made|kept|written] by {guardian}.",
            "The [narrow|tidy|cold] house on {home} was no [happy|easy|quiet] place for {who}. "
            "Supper was [cooked|served|counted out] by {guardian}.",
        ),
    ),
    Topic(
        "letter",
        (
            "[One|That] [morning|evening|summer] a letter came from {school}, [a|the] school of {craft}. "
            "It was [brought|carried|delivered] by {messenger}.",
            "[At last|Soon] {who} was [invited|called|asked] to {school}. The [visitor|stranger] who [said|explained] so was {messenger}.",
        ),
    ),
    Topic(
        "shop",
        (
            "{who} [bought|chose|paid for] a [new|plain|long] {tool} in {market}. It was [sold|made|wrapped] by {shopkeeper}.",
            "A {tool} had to be [found|bought], so {who} [went|hurried] to {market}. The [owner|keeper] of the shop was {shopkeeper}.",
        ),
    ),
    Topic(
        "journey",
        (
            "The train left from {station} at [noon|dawn|night]. [In a basket|On the seat|In a cage] sat {poss} {animal}, known as {pet}.",
            "With [heavy|old] bags {who} came to {station}. The {animal} that [rode|slept] on top was called {pet}.",
        ),
    ),
    Topic(
        "house",
        (
            "On the first [night|day|evening] {who} [joined|was sent to] {house}, the [oldest|loudest] {division}. "
            "The next bed was given to {friend}, [soon|later] {poss} {companion}.",
            "[A vote|A drawn card|An old list] [placed|put] {who} with {house}. From [that hour|that day] {poss} {companion} was {friend}.",
        ),
    ),
    Topic(
        "lesson",
        (
            "The [hardest|first|longest] lessons were [given|taught] by {teacher}. The answers were known only to {classmate}.",
            "{who} [feared|dreaded|liked] the [dark|cold] classroom of {teacher}. [Notes|Help|Good advice] always came from {classmate}.",
        ),
    ),
    Topic(
        "rival",
        (
            "{Poss} [worst|oldest|sworn] rival was {rival}, the [pride|star|leader] of {rivals}.",
            "[Nobody|No one] [mocked|teased] {who} like {rival} did. The laughing all came from {rivals}.",
        ),
    ),
    Topic(
        "game",
        (
            "On [Fridays|Saturdays|Sundays] they played {sport}, and {who} [won|lost|saved] the [first|last|great] match.",
            "{who} [ran|trained] all year for {sport}, [in mud|in snow|in rain].",
        ),
    ),
    Topic(
        "beast",
        (
            "[Behind|Beneath|Near] the [kitchen|library|tower] lived {beast}, a [huge|hungry|shy] beast.",
            "The [claws|teeth|eyes] that {who} saw in the [dark|woods|fog] were those of {beast}.",
        ),
    ),
    Topic(
        "villain",
        (
            "The enemy they all feared was {villain}, who [never slept|wanted power|had no mercy].",
            "Behind [every|each] [theft|fire|lie] that troubled {who} stood {villain}.",
        ),
    ),
    Topic(
        "head",
        (
            "The school was led by {head}, [old|wise|tall] and [kind|calm|strange].",
            "{who} [climbed|took] the [long|winding] stairs to speak with {head}.",
        ),
    ),
    Topic(
        "ending",
        (
            "In the end {who} [won|found|saved] the {prize}, and they [sang|danced|feasted] in {village}.",
            "What {who} had [looked|hoped] for all year was the {prize}. The [news|bells] [reached|woke] {village} [by night|at once].",
        ),
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
