"""Generic words that stand in the place of anchors, by type: common names, and nouns that fit almost anywhere. All ours.

None of them names a particular person, place or work; plurals are regular.
"""

from typing import Final


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.replace("\n", " ").split(",") if word.strip())


FEMALE: Final = _words("""
Anna, Alice, Amy, Barbara, Brenda, Carol, Catherine, Claire, Deborah, Diane, Donna, Emily, Emma, Gillian, Hannah, Heather, Helen,
Irene, Janet, Jane, Jennifer, Joan, Judith, Julia, Karen, Kate, Laura, Linda, Lisa, Lucy, Maria, Martha, Megan, Monica, Nancy,
Natalie, Olivia, Patricia, Paula, Rachel, Rebecca, Ruth, Sandra, Sarah, Sharon, Sophie, Susan, Teresa, Tina, Wendy""")
MALE: Final = _words("""
Aaron, Adam, Alan, Andrew, Anthony, Ben, Brian, Carl, Christopher, Colin, Craig, Daniel, David, Dennis, Derek, Donald, Douglas,
Edward, Eric, Frank, Gary, Gordon, Graham, Greg, Henry, Ian, Jack, Jason, Jeffrey, Jim, Joe, John, Keith, Kenneth, Kevin, Lewis,
Louis, Martin, Matthew, Michael, Nathan, Nicholas, Patrick, Paul, Philip, Raymond, Richard, Robert, Roger, Simon, Stephen, Steven""")
SURNAME: Final = _words("""
Adams, Allen, Anderson, Bailey, Baker, Barnes, Bell, Bennett, Brooks, Brown, Butler, Campbell, Carter, Clark, Coleman, Collins,
Cooper, Cox, Davies, Edwards, Ellis, Evans, Fisher, Foster, Gardner, Gibson, Graves, Green, Griffin, Hall, Harris, Harrison,
Hayes, Henderson, Hill, Howard, Hughes, Hunter, Jackson, Jenkins, Johnson, Jones, Kelly, King, Lawrence, Lee, Mason, Miller,
Mitchell, Moore, Morgan, Morris, Murphy, Nelson, Palmer, Parker, Perry, Phillips, Powell, Price, Reed, Reynolds, Richardson,
Roberts, Rogers, Russell, Sanders, Scott, Shaw, Simmons, Smith, Spencer, Stevens, Stewart, Taylor, Thompson, Turner, Walker, Ward,
Watson, Webb, White, Williams, Wilson, Wood, Wright""")
PLACE: Final = _words("""
Ashford, Bradley, Brookfield, Burton, Carlton, Centreville, Clifton, Crossfield, Dunmore, Eastbrook, Easton, Elmwood, Fairfield,
Fairview, Georgetown, Greenville, Greenwood, Hamilton, Harwood, Hillcrest, Kingston, Lakeside, Lakewood, Lexington, Longfield,
Maplewood, Milford, Milton, Newbury, Newport, Newton, Northfield, Norwood, Oakdale, Oakland, Oxley, Riverside, Rockford, Salem,
Sheffield, Southgate, Springfield, Stanton, Stratford, Thornton, Upton, Waterford, Westbrook, Weston, Winfield""")
PLACE_MODIFIER: Final = _words("""
Abbey, Bank, Bridge, Broad, Castle, Cedar, Central, Chapel, Church, Court, Cross, East, Elm, Field, Forest, Garden, Grand, Green,
High, Hill, Lake, Long, Lower, Main, Market, Meadow, Mill, New, North, Oak, Park, Pine, Queen's, River, South, Spring, Station,
Upper, Valley, Victoria, Well, West, Willow""")
PLACE_NOUN: Final = _words("""
apartment, area, arena, building, cabin, camp, city, cottage, district, estate, farm, field, garden, hall, hotel, house, inn, island,
library, lodge, market, museum, office, park, room, school, shop, square, station, town, valley, village""")
GROUP: Final = _words("""
Agency, Alliance, Assembly, Association, Board, Bureau, Circle, Club, Commission, Committee, Company, Council, Department, Federation,
Foundation, Group, Institute, League, Network, Office, Organisation, Panel, Partnership, Society, Team, Trust, Union""")
GROUP_MODIFIER: Final = _words("""
Allied, American, British, Central, Civic, City, Combined, County, District, Eastern, European, Federal, First, General, Grand, Independent,
International, Joint, Local, National, Northern, People's, Public, Regional, Royal, Rural, Southern, State, United, Western""")
CREATURE: Final = _words("""
animal, ape, beast, bear, bird, bull, cat, cow, creature, crow, dog, donkey, duck, eagle, elephant, frog, goat, hawk,
hen, horse, hound, insect, lamb, lion, lizard, monkey, otter, owl, parrot, pig, pigeon, pony, rabbit, rat, snake, spider, squirrel, swan,
tiger, toad, turtle""")
PET: Final = _words("""
Bailey, Bandit, Bella, Biscuit, Buddy, Buster, Chester, Coco, Cookie, Daisy, Duke, Ginger, Honey, Lucky, Max, Misty, Oscar, Patch,
Pepper, Pip, Prince, Rex, Rocky, Rover, Rusty, Sandy, Scout, Shadow, Smokey, Sooty, Sparky, Spot, Teddy, Tiger, Toby""")
OBJECT: Final = _words("""
axe, bag, ball, basket, bell, book, bottle, bowl, box, brush, candle, card, case, chair, clock, coin, cup, device, engine, envelope,
hammer, handle, hat, instrument, item, jar, key, knife, lamp, letter, machine, map, mirror, needle, object, ornament, paper, parcel,
pen, phone, pipe, ring, rope, stick, stone, table, tool, torch, umbrella, watch""")
ACTIVITY: Final = _words("""
archery, badminton, baseball, basketball, billiards, bowling, boxing, chess, cricket, croquet, cycling, dancing, dominoes, fencing,
fishing, football, gardening, golf, hockey, painting, pottery, rowing, rugby, sailing, singing, skating, skiing, soccer, swimming,
tennis, volleyball, wrestling""")
THING: Final = _words("""
affair, answer, arrangement, aspect, business, case, change, colour, detail, effect, element, event, example, feature, form, idea, issue,
item, kind, matter, method, moment, object, part, piece, point, problem, process, question, reason, result, rule, sign, story,
subject, system, task, thing, topic""")
DONE: Final = _words("""
acted, answered, arrived, called, changed, checked, finished, followed, helped, learned, listened, looked, moved, passed, played,
pointed, reached, started, stayed, stopped, talked, tried, turned, used, visited, waited, walked, watched, worked""")
DOING: Final = _words("""
acting, answering, arriving, calling, changing, checking, finishing, following, helping, learning, listening, looking, moving,
passing, playing, pointing, reaching, starting, staying, stopping, talking, trying, turning, using, visiting, waiting, walking,
watching, working""")
NAMED_THING: Final = _words("""
Anchor, Arrow, Banner, Beacon, Bell, Canyon, Compass, Comet, Crown, Delta, Eagle, Falcon, Forum, Garland, Harvest, Horizon, Journal,
Meadow, Mirror, Monument, Morning, Pioneer, Planet, Record, Ribbon, River, Sparrow, Standard, Summit, Swallow, Symbol, Tower,
Union, Venture, Voyager, Willow""")


ROLE: Final = _words("""
adult, agent, artist, assistant, attendant, builder, caller, citizen, clerk, doctor, driver, employee, engineer, expert, farmer, gardener,
guest, guide, helper, individual, manager, member, neighbour, officer, official, owner, player, porter, resident, sailor, servant,
soldier, stranger, student, teacher, visitor, worker, writer""")


def plural(noun: str) -> str:
    """The regular plural."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith("fe"):
        return noun[:-2] + "ves"
    return noun + "s"
