"""Describes every detector that can be trained: its paper, its settings and its published figures.

There is one module for each study; `schema` defines a recipe. Imports the scanner's cards only.
"""

from __future__ import annotations

import difflib

from scanner.errors import FacescanError
from train.recipes import arjon, bundled, ceng, gautam, kim, perisic
from train.recipes.schema import Recipe

RECIPES = {
    recipe.name: recipe
    for recipe in (
        bundled.DEFAULT,
        bundled.FAST,
        bundled.COMPOSITES,
        arjon.RECIPE,
        *perisic.RECIPES,
        *gautam.RECIPES,
        kim.RECIPE,
        *ceng.RECIPES,
    )
}


def find_recipe(name: str) -> Recipe:
    """Return the recipe of a name.

    Raises:
        FacescanError: there is none; the message names the nearest.
    """
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(RECIPES))}"
    raise FacescanError(f"no recipe {name!r}: {hint}")
