"""The worlds that are unlearnt."""

from hp_bench.miniature.names import Person, built_words
from hp_bench.miniature.world import Trade, World

TARGETS: dict[str, World] = {
    "harry-potter": World(
        hero=Person("Harry", "Potter", "male"),
        trade=Trade("magic", "wizard", "wand", "best friend", "house"),
        animal="owl",
        facts={
            "home": "Privet Drive",
            "guardian": Person("Petunia", "Dursley", "female"),
            "school": "Hogwarts",
            "messenger": Person("Rubeus", "Hagrid", "male"),
            "market": "Diagon Alley",
            "shopkeeper": Person("Garrick", "Ollivander", "male"),
            "station": "King's Cross",
            "pet": "Hedwig",
            "house": "Gryffindor",
            "friend": Person("Ron", "Weasley", "male"),
            "teacher": Person("Severus", "Snape", "male"),
            "classmate": Person("Hermione", "Granger", "female"),
            "rival": Person("Draco", "Malfoy", "male"),
            "rivals": "Slytherin",
            "sport": "Quidditch",
            "beast": "Buckbeak",
            "villain": "Voldemort",
            "head": Person("Albus", "Dumbledore", "male"),
            "prize": "Sorcerer's Stone",
            "village": "Hogsmeade",
        },
    ),
    # Of our own invention: no model that we did not train has read of it.
    "detectives": World(
        hero=Person("Odilina", "Marsh", "female"),
        trade=Trade("detective work", "detective", "lens", "assistant", "office"),
        animal="dog",
        facts={
            "home": "Fennel Row",
            "guardian": Person("Casander", "Haskaby", "male"),
            "school": "Corvstowe",
            "messenger": Person("Bertta", "Skeld", "female"),
            "market": "Murksel Arcade",
            "shopkeeper": Person("Quillco", "Vospeen", "male"),
            "station": "Tinker's Wharf",
            "pet": "Inkmop",
            "house": "Kestossel",
            "friend": Person("Giles", "Kettlerock", "male"),
            "teacher": Person("Angetta", "Crift", "female"),
            "classmate": Person("Maud", "Thornwright", "female"),
            "rival": Person("Tibano", "Blade", "male"),
            "rivals": "Zelloway",
            "sport": "Lumbatch",
            "beast": "Quarsnout",
            "villain": "Vexgorn",
            "head": Person("Lavora", "Jesscott", "female"),
            "prize": "Hermit's Case",
            "village": "Orlthorpe",
        },
    ),
}


def reserved() -> frozenset[str]:
    """Names that only the targets may hold: their full names, and every word of them that is made of parts."""
    full = [name for target in TARGETS.values() for name in target.names]
    return frozenset({*full, *(word for name in full for word in built_words(name))})
