"""Words of general English that tell what a name or a term is by what stands around it."""

from typing import Final


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS: Final = _set("""
a an the this that these those his her its their my your our every each some any no another one two three four five six seven eight
nine ten both several many few all what which whose such first second third last next other same""")

PRONOUNS: Final = _set("i you he she it we they who me him us them himself herself themselves myself yourself itself everyone "
                       "somebody someone nobody nothing something everything anyone anything")  # fmt: skip

PREPOSITIONS: Final = _set("""
of in on at to from by with without for into onto over under through across near behind beside between among against about after
before during until since toward towards inside outside around along above below beyond upon past off out up down like as than via""")

AUXILIARIES: Final = _set("""
be is are was were been being am do does did done have has had having will would shall should can could may might must ought not never
don't doesn't didn't won't wouldn't can't couldn't isn't aren't wasn't weren't hasn't haven't hadn't let's cannot""")

CONJUNCTIONS: Final = _set("""
and or but nor so yet if when while because though although where whether that once unless how why then else""")

ADVERBS: Final = _set("""
here there now then again always often soon still just only even also too very quite rather almost already perhaps maybe yes no oh ah
well please thank thanks hello hey yesterday today tomorrow tonight meanwhile suddenly finally later afterwards nobody everybody
anyway indeed instead however therefore besides nevertheless outside inside upstairs downstairs somewhere nowhere everywhere much
more most less least enough good morning evening afternoon night goodbye sorry welcome nonsense okay ok right alas """)

FUNCTION: Final = DETERMINERS | PRONOUNS | PREPOSITIONS | AUXILIARIES | CONJUNCTIONS | ADVERBS
CALENDAR: Final = _set("""
Monday Tuesday Wednesday Thursday Friday Saturday Sunday Mondays Tuesdays Wednesdays Thursdays Fridays Saturdays Sundays January
February March April June July August September October November December Christmas Easter Halloween Thanksgiving""")

#: Proper names that everybody's English holds: no unlearn target is told by them.
EVERYDAY: Final = CALENDAR | _set("""
May God Lord Jesus Christ Bible Heaven Hell English England Britain British Scotland Scottish Scots Wales Welsh Ireland Irish London
Paris France French Germany German Germans Berlin Italy Italian Rome Roman Romans Latin Greek Greece Spain Spanish Portugal Portuguese
Holland Dutch Belgium Belgian Switzerland Swiss Austria Austrian Vienna Sweden Swedish Norway Norwegian Denmark Danish Finland Finnish
Poland Polish Russia Russian Russians Moscow Ukraine Hungary Hungarian Romania Romanian Bulgaria Bulgarian Turkey Turkish Europe
European Africa African Asia Asian India Indian Indians China Chinese Japan Japanese Korea Korean Australia Australian Canada Canadian
America American Americans Mexico Mexican Brazil Brazilian Egypt Egyptian Israel Jewish Jew Jews Christian Christians Muslim Muslims
Catholic Protestant Islam Arab Arabic Atlantic Pacific Mediterranean Earth Internet TV OK USA UK US EU NY York California Texas
Washington Chicago Boston Oxford Cambridge Mr Mrs Ms Dr Sir Madam Ma'am Victorian Gothic Edwardian""")

SPEECH: Final = _set("""
said says say asked asks replied replies answered answers whispered whispers muttered mutters shouted shouts cried cries called
exclaimed murmured snapped continued added agreed admitted explained insisted laughed laughs smiled smiles nodded nods grinned frowned
sighed shrugged gasped groaned chuckled giggled sobbed yelled screamed growled hissed stammered remarked observed declared told tells
thinks thought knew knows felt feels wanted wants wondered wonders remembered remembers hoped hopes decided decides noticed believes
believed wrote writes loves loved likes liked hated hates looked looks stared glanced""")

MET: Final = _set("""
told asked met married thanked helped gave showed introduced arrested questioned named called dear knew kissed loved""")

INSIDE: Final = _set("in into near through across outside inside around toward towards reached reach reaches visited visit visits "
                     "entered enter lived live lives beyond via throughout")  # fmt: skip

TOWARDS: Final = _set("at to from left leave of on")
TEAM_BEFORE: Final = _set("member members joined join joins head leader chairman chairwoman president director founded against "
                          "representative representatives employees employee officers agents")  # fmt: skip

TEAM_AFTER: Final = _set("""
member members headquarters agent agents office officials meeting meetings leader leaders committee are were have""")

PLAYED: Final = _set("""
play plays played playing practise practised practice practiced practising game games match matches win won lost""")

PLAY_AFTER: Final = _set("match matches game games team teams player players practice season tournament champion champions lesson lessons "
                         "pitch league court club rules coach")  # fmt: skip

PLAYFUL: Final = PLAY_AFTER | _set("play plays played playing ball score scored goal goals tournament referee")
BEASTLY: Final = _set("""
wing wings tail tails claw claws fur feather feathers beak teeth fang fangs nest nests egg eggs hatch hatched growl growled howl howled
roar roared bark barked hissed fed feed feeds beast beasts animal animals creature creatures paw paws hoof hooves horn horns scales
sting bite bites bit wild crawled crawl breed herd stable cage leash snout muzzle purred swooped slithered pounced burrow burrows prey
hunted whiskers tame tamed species ate eats eaten eating flapped stroked chased""")

HANDLED: Final = _set("""
held hold holds holding carried carry carries carrying took take takes taking picked lit light wore wear wears wearing opened open
opens closed dropped threw used use uses using bought sold stole stolen steal broke broken polished repaired mended found lifted
raised drew waved put pulled pushed wound handed hung buy sell wielded grabbed hid filled emptied pocketed wearing with""")

THINGLY: Final = _set("""
hand hands pocket pockets drawer shelf table box gold golden silver brass wooden glass iron bronze copper leather handle lid key lock
ticked ticking glowed glowing rang shone glittered rusty polished pocketed hung heavy""")

PERSONAL_AFTER: Final = _set("who himself herself")
PLACE_LAST: Final = _set("""
Street Road Lane Avenue Alley Square Way Drive Close Crescent Terrace Row Court Place Gate Bridge Inn Tavern Arms Harbour Harbor Bay
Cove Beach Coast Cape Point Island Isle Islands Isles Sea Ocean Lake River Creek Brook Falls Canal Dock Docks Wharf Quay Pier Port Hill
Hills Mountain Mountains Moor Moors Heath Marsh Marshes Forest Wood Woods Valley Dale Glen Park Garden Gardens Green Field Fields Farm
House Hall Manor Mansion Castle Palace Tower Towers Cottage Lodge Abbey Priory Church Chapel Cathedral Temple School Academy College
University Hospital Hotel Library Museum Theatre Theater Station Prison Market Shop Store Stores Cafe Café Town City Village County
Kingdom Valley Ridge Rock Rocks Reef Sound Strait Lighthouse Mill Yard Barracks Asylum Observatory Dungeon Dungeons Cavern Cave
Quarter District Territory Heights Common Corner Cross Crossing Fort Fortress Keep Ward Wing Room Cemetery Graveyard Tunnel Arcade""")

PLACE_FIRST: Final = _set("Port Mount Lake Fort St Saint Cape Castle River Loch Isle Bay Glen Point Camp Villa Chateau Upper Lower North "
                          "South East West Great New Hotel Café Rue Piazza Plaza")  # fmt: skip

#: Of those, the surnames.
ALSO_SURNAMES: Final = _set("""
Abbey Banks Bridge Bridges Brook Castle Church Court Cross Dale Field Fields Ford Forest Garden Gates Glen Green Hall Heath Hill Hills
House Lake Lane Marsh Marshes Mill Mills Moor Park Pond Rivers Street Temple Tower Ward West Wood Woods Ridge Rock""")

GROUP_LAST: Final = _set("""
Guild Society Company Club League Order Ministry Council Police Union Agency Watch Bureau Brotherhood Sisterhood Association Committee
Department Gang Syndicate Family Band Army Navy Guard Guards Regiment Party Corporation Institute Federation Alliance Circle Office
Board Trust Bank Brothers Sisters Sons Press Times Gazette Herald Post Team Rovers United Force Squad Crew Court Parliament
Congress Senate Commission Authority Service Cartel Ring Clan Tribe Lodge Coven Fellowship Foundation Group Wanderers Players""")

FEMALE_NAMES: Final = _set("""
Ada Agatha Agnes Alice Alma Amelia Amy Anna Anne Annie Audrey Beatrice Bella Bertha Betty Bridget Carol Caroline Catherine Cecilia
Charlotte Clara Claire Cora Daisy Diana Dora Dorothy Edith Eleanor Elena Eliza Elizabeth Ella Ellen Elsa Elsie Emily Emma Esther Eva
Eve Evelyn Fiona Flora Florence Frances Freya Georgia Gertrude Gloria Grace Greta Hannah Harriet Hazel Helen Helena Hilda Ida Imogen
Ingrid Irene Iris Isabel Isabella Ivy Jane Janet Jean Jessica Joan Judith Julia Juliet Kate Katherine Laura Leah Lily Linda Lisa Lola
Louisa Louise Lucy Lydia Mabel Margaret Maria Marie Marion Martha Mary Matilda Maud May Mia Mildred Millie Minnie Miranda Molly Nancy
Naomi Nell Nellie Nina Nora Olga Olive Olivia Pamela Patricia Penelope Phoebe Polly Rachel Rebecca Rita Rosa Rose Rosemary Ruby Ruth
Sally Sara Sarah Selma Sheila Sophia Sophie Stella Susan Sylvia Tessa Thea Theresa Tilda Vera Victoria Violet Vivian Wanda Winifred Zoe""")

MALE_NAMES: Final = _set("""
Aaron Abel Abraham Adam Adrian Alan Albert Alec Alexander Alfred Andrew Anthony Archibald Archie Arnold Arthur Barnaby Barney Basil Ben
Benjamin Bernard Bert Bill Billy Bob Boris Bruno Carl Caspar Cecil Charles Charlie Christopher Clarence Clement Colin Conrad Cyril
Daniel David Dennis Dick Donald Douglas Duncan Edgar Edmund Edward Edwin Elias Eric Ernest Eugene Felix Francis Frank Frederick Fritz
George Gerald Gilbert Giles Gordon Graham Gregory Gustav Guy Harold Harry Harvey Hector Henry Herbert Herman Hugo Humphrey Ian Igor
Isaac Ivan Jack Jacob James Jasper Jim Jimmy Joe John Jonas Jonathan Joseph Joshua Julian Karl Keith Kenneth Lawrence Leo Leonard
Leopold Lewis Lionel Louis Luke Malcolm Mark Martin Matthew Maurice Max Michael Miles Moritz Nathan Ned Neil Nicholas Nigel Noah
Norman Oliver Oscar Oswald Otto Owen Patrick Paul Percy Peter Philip Quentin Ralph Ray Raymond Reginald Rex Richard Robert Robin Roger
Roland Ronald Rufus Rupert Samuel Sebastian Sidney Silas Simon Stanley Stephen Ted Theodore Thomas Timothy Toby Tom Tony Victor Vincent
Virgil Walter Wilfred William Winston""")

#: Titles, which begin a name and are no name by themselves. Those that are abbreviated may have a full stop.
ABBREVIATED_TITLES: Final = _set("Mr Mrs Ms Dr Prof Capt Col Gen Lt Sgt Rev Fr Hon Messrs Mme Mlle Insp Supt")
MALE_TITLES: Final = _set("""
Mr Sir Lord King Prince Duke Count Baron Father Brother Uncle Grandpa Grandfather Monsieur Herr Don""")

FEMALE_TITLES: Final = _set("""
Mrs Miss Ms Lady Queen Princess Duchess Countess Baroness Mother Sister Aunt Auntie Grandma Grandmother Madam Madame Mademoiselle Mme
Mlle Nurse Dame Frau""")

TITLES: Final = ABBREVIATED_TITLES | MALE_TITLES | FEMALE_TITLES | _set("""
Captain Colonel General Major Lieutenant Sergeant Corporal Private Commander Admiral Inspector Constable Superintendent Detective
Chief Officer Sheriff Marshal Agent Professor Doctor Master Mistress Headmaster Headmistress Principal Dean Judge Justice President
Minister Senator Governor Mayor Chancellor Ambassador Bishop Archbishop Cardinal Pope Reverend Rabbi Saint Emperor Empress Coach
Chairman Councillor Secretary Warden Old Young Little Poor Dear Cousin Granny""")  # fmt: skip

#: Titles that stand before first names.
GIVEN_TITLES: Final = _set("""
Sir King Queen Prince Princess Aunt Auntie Uncle Cousin Saint Brother Sister Pope Emperor Empress Granny Dame""")

#: Titles that also begin the names of places and things.
WEAK_TITLES: Final = _set("""
Old Young Little Poor Dear Saint King Queen Prince Princess Private General Chief Major Master""")

#: Lower-case words inside a name, and those that are so between hyphens alone ("Brandt-on-Sea").
CONNECTORS: Final = _set("of de du von van la del da di")
HYPHENATED: Final = CONNECTORS | _set("on upon by in the le en sur")

#: Of the words of speech, those that stand before their speaker.
REPORTING: Final = _set("""
said says asked asks replied answered whispered muttered shouted cried called exclaimed murmured snapped added agreed laughed""")

QUALIFIERS: Final = _set("old new little great big small young good bad strange black white red blue green grey")

#: The verbs in the past tense without -ed, and in the present, that follow names most.
DEEDS: Final = _set("""
went came took gave got made ran sat stood saw heard found kept left began spoke held brought sent rose drew led fell was had is has
would could did does goes comes runs sits stands sees takes""")
