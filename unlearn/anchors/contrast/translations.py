"""Generic translations from word lists: the same kind of thing in the same form, drawn by a stable hash."""

import hashlib
import re
import string
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.replace("\n", " ").split(",") if word.strip())


#: What a form's template may name, e.g. "Captain {surname}".
WORD_LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "female": _words("""
Anna, Alice, Amy, Barbara, Brenda, Carol, Catherine, Claire, Deborah, Diane, Donna, Emily, Emma, Gillian, Hannah, Heather, Helen,
Irene, Janet, Jane, Jennifer, Joan, Judith, Julia, Karen, Kate, Laura, Linda, Lisa, Lucy, Maria, Martha, Megan, Monica, Nancy,
Natalie, Olivia, Patricia, Paula, Rachel, Rebecca, Ruth, Sandra, Sarah, Sharon, Sophie, Susan, Teresa, Tina, Wendy"""),
    "male": _words("""
Aaron, Adam, Alan, Andrew, Anthony, Ben, Brian, Carl, Christopher, Colin, Craig, Daniel, David, Dennis, Derek, Donald, Douglas,
Edward, Eric, Frank, Gary, Gordon, Graham, Greg, Henry, Ian, Jack, Jason, Jeffrey, Jim, Joe, John, Keith, Kenneth, Kevin, Lewis,
Louis, Martin, Matthew, Michael, Nathan, Nicholas, Patrick, Paul, Philip, Raymond, Richard, Robert, Roger, Simon, Stephen, Steven"""),
    "surname": _words("""
Adams, Allen, Anderson, Bailey, Baker, Barnes, Bell, Bennett, Brooks, Brown, Butler, Campbell, Carter, Clark, Coleman, Collins,
Cooper, Cox, Davies, Edwards, Ellis, Evans, Fisher, Foster, Gardner, Gibson, Graves, Green, Griffin, Hall, Harris, Harrison,
Hayes, Henderson, Hill, Howard, Hughes, Hunter, Jackson, Jenkins, Johnson, Jones, Kelly, King, Lawrence, Lee, Mason, Miller,
Mitchell, Moore, Morgan, Morris, Murphy, Nelson, Palmer, Parker, Perry, Phillips, Powell, Price, Reed, Reynolds, Richardson,
Roberts, Rogers, Russell, Sanders, Scott, Shaw, Simmons, Smith, Spencer, Stevens, Stewart, Taylor, Thompson, Turner, Walker, Ward,
Watson, Webb, White, Williams, Wilson, Wood, Wright"""),
    "place": _words("""
Ashford, Bradley, Brookfield, Burton, Carlton, Centreville, Clifton, Crossfield, Dunmore, Eastbrook, Easton, Elmwood, Fairfield,
Fairview, Georgetown, Greenville, Greenwood, Hamilton, Harwood, Hillcrest, Kingston, Lakeside, Lakewood, Lexington, Longfield,
Maplewood, Milford, Milton, Newbury, Newport, Newton, Northfield, Norwood, Oakdale, Oakland, Oxley, Riverside, Rockford, Salem,
Sheffield, Southgate, Springfield, Stanton, Stratford, Thornton, Upton, Waterford, Westbrook, Weston, Winfield"""),
    "place_modifier": _words("""
Abbey, Bank, Bridge, Broad, Castle, Cedar, Central, Chapel, Church, Court, Cross, East, Elm, Field, Forest, Garden, Grand, Green,
High, Hill, Lake, Long, Lower, Main, Market, Meadow, Mill, New, North, Oak, Park, Pine, Queen's, River, South, Spring, Station,
Upper, Valley, Victoria, Well, West, Willow"""),
    "place_noun": _words("""
apartment, area, arena, building, cabin, camp, city, cottage, district, estate, farm, field, garden, hall, hotel, house, inn, island,
library, lodge, market, museum, office, park, room, school, shop, square, station, town, valley, village"""),
    "group": _words("""
Agency, Alliance, Assembly, Association, Board, Bureau, Circle, Club, Commission, Committee, Company, Council, Department, Federation,
Foundation, Group, Institute, League, Network, Office, Organisation, Panel, Partnership, Society, Team, Trust, Union"""),
    "group_modifier": _words("""
Allied, American, British, Central, Civic, City, Combined, County, District, Eastern, European, Federal, First, General, Grand, Independent,
International, Joint, Local, National, Northern, People's, Public, Regional, Royal, Rural, Southern, State, United, Western"""),
    "creature": _words("""
animal, ape, beast, bear, bird, bull, cat, cow, creature, crow, dog, donkey, duck, eagle, elephant, frog, goat, hawk,
hen, horse, hound, insect, lamb, lion, lizard, monkey, otter, owl, parrot, pig, pigeon, pony, rabbit, rat, snake, spider, squirrel, swan,
tiger, toad, turtle"""),
    "pet": _words("""
Bailey, Bandit, Bella, Biscuit, Buddy, Buster, Chester, Coco, Cookie, Daisy, Duke, Ginger, Honey, Lucky, Max, Misty, Oscar, Patch,
Pepper, Pip, Prince, Rex, Rocky, Rover, Rusty, Sandy, Scout, Shadow, Smokey, Sooty, Sparky, Spot, Teddy, Tiger, Toby"""),
    "object": _words("""
axe, bag, ball, basket, bell, book, bottle, bowl, box, brush, candle, card, case, chair, clock, coin, cup, device, engine, envelope,
hammer, handle, hat, instrument, item, jar, key, knife, lamp, letter, machine, map, mirror, needle, object, ornament, paper, parcel,
pen, phone, pipe, ring, rope, stick, stone, table, tool, torch, umbrella, watch"""),
    "activity": _words("""
archery, badminton, baseball, basketball, billiards, bowling, boxing, chess, cricket, croquet, cycling, dancing, dominoes, fencing,
fishing, football, gardening, golf, hockey, painting, pottery, rowing, rugby, sailing, singing, skating, skiing, soccer, swimming,
tennis, volleyball, wrestling"""),
    "thing": _words("""
affair, answer, arrangement, aspect, business, case, change, colour, detail, effect, element, event, example, feature, form, idea, issue,
item, kind, matter, method, moment, object, part, piece, point, problem, process, question, reason, result, rule, sign, story,
subject, system, task, thing, topic"""),
    "done": _words("""
acted, answered, arrived, called, changed, checked, finished, followed, helped, learned, listened, looked, moved, passed, played,
pointed, reached, started, stayed, stopped, talked, tried, turned, used, visited, waited, walked, watched, worked"""),
    "doing": _words("""
acting, answering, arriving, calling, changing, checking, finishing, following, helping, learning, listening, looking, moving,
passing, playing, pointing, reaching, starting, staying, stopping, talking, trying, turning, using, visiting, waiting, walking,
watching, working"""),
    "named_thing": _words("""
Anchor, Arrow, Banner, Beacon, Bell, Canyon, Compass, Comet, Crown, Delta, Eagle, Falcon, Forum, Garland, Harvest, Horizon, Journal,
Meadow, Mirror, Monument, Morning, Pioneer, Planet, Record, Ribbon, River, Sparrow, Standard, Summit, Swallow, Symbol, Tower,
Union, Venture, Voyager, Willow"""),
    "role": _words("""
adult, agent, artist, assistant, attendant, builder, caller, citizen, clerk, doctor, driver, employee, engineer, expert, farmer, gardener,
guest, guide, helper, individual, manager, member, neighbour, officer, official, owner, player, porter, resident, sailor, servant,
soldier, stranger, student, teacher, visitor, worker, writer"""),
}

Style = Literal["", "plural", "capital", "capital plural", "upper"]

#: Translations of an anchor. Blocks draw one each, so that the model meets several; more would reuse the lists sooner.
TRANSLATIONS: Final = 4


@dataclass(frozen=True)
class Form:
    """One way the text writes an entity.

    Attributes:
        text: the anchor.
        template: what stands in its place, with names of `WORD_LISTS` in braces.
        style: how the listed words are bent.
    """

    text: str
    template: str
    style: Style = ""

    @property
    def lists(self) -> tuple[str, ...]:
        """Names of the word lists that the template draws on."""
        return tuple(name for _, name, _, _ in string.Formatter().parse(self.template) if name)


@dataclass(frozen=True)
class Entity:
    """What one or several anchors name.

    Attributes:
        key: a name for it; the text of its main form.
        type: one of `unlearn.anchors.types.TYPES`.
        forms: the anchors, main form first.
        sound: "vowel" or "consonant" where the text says "an" or "a" before it.
    """

    key: str
    type: str
    forms: tuple[Form, ...]
    sound: Literal["", "vowel", "consonant"] = ""


def generic_translations(entities: Iterable[Entity], *, seed: int, avoid: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Translations of every form; forms of one entity agree index by index.

    Words are drawn in the order of a hash of seed, entity and word, the least used of a list first, so that the first entities share
    nothing; no two entities draw the same set from a list.

    Args:
        entities: those that matter most first.
        seed: of the draw.
        avoid: words of the target that must not come back, in any case.
    """
    drawn = _Draw(seed, {word.lower() for word in avoid})
    made: dict[str, tuple[str, ...]] = {}
    for entity in entities:
        lists = dict.fromkeys(name for form in entity.forms for name in form.lists)
        picks = {name: drawn.pick(entity, name) for name in lists}
        for form in entity.forms:
            words = [{name: picks[name][index] for name in form.lists} for index in range(TRANSLATIONS)]
            made[form.text] = tuple(_bent(form.template.format(**named), form) for named in words)
    return made


class _Draw:
    """What has been drawn so far."""

    def __init__(self, seed: int, avoid: Collection[str]) -> None:
        self._seed = seed
        self._words = {name: [w for w in words if w.lower() not in avoid] for name, words in WORD_LISTS.items()}
        self._uses: dict[str, Counter[str]] = {name: Counter() for name in WORD_LISTS}
        self._sets: dict[str, set[frozenset[str]]] = {name: set() for name in WORD_LISTS}

    def pick(self, entity: Entity, name: str) -> Sequence[str]:
        words = self._words[name]
        if entity.sound:
            fitting = [word for word in words if (word[0].lower() in "aeiou") == (entity.sound == "vowel")]
            words = fitting if len(fitting) >= TRANSLATIONS else words
        if any("plural" in form.style and name in form.lists for form in entity.forms):
            easy = [word for word in words if not word.endswith(("s", "x", "z", "ch", "sh"))]  # no "Brookses"
            words = easy if len(easy) >= TRANSLATIONS else words
        if len(words) < TRANSLATIONS:  # a target that uses nearly all of a list: better a word of its own than none
            words = list(WORD_LISTS[name])
        uses, sets = self._uses[name], self._sets[name]
        chosen: Sequence[str] = ()
        for attempt in range(200):
            # Beside the least used words come others, when all sets of those are taken.
            order = {w: (max(uses[w] - attempt // 4, 0), self._hash(entity.key, w, attempt)) for w in words}
            chosen = sorted(words, key=order.__getitem__)[:TRANSLATIONS]
            if frozenset(chosen) not in sets:
                break
        sets.add(frozenset(chosen))
        uses.update(chosen)
        return chosen

    def _hash(self, key: str, word: str, attempt: int) -> bytes:
        return hashlib.sha256(f"{self._seed}\x1f{key}\x1f{word}\x1f{attempt}".encode("utf-8", "surrogatepass")).digest()


def _bent(text: str, form: Form) -> str:
    if "plural" in form.style:
        head, space, last = text.rpartition(" ")
        text = head + space + plural(last)
    if "capital" in form.style:
        text = re.sub(r"(^|(?<= ))[a-z]", lambda match: match[0].upper(), text)
    return text.upper() if form.style == "upper" else text


def plural(noun: str) -> str:
    """The regular plural."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith("fe"):
        return noun[:-2] + "ves"
    return noun + "s"
