"""Every detector that can be trained here, its paper, its hyper-parameters and its published figures.

One module a study; `schema` says what a recipe is. Imports the scanner's cards only.
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
        bundled.COMPOSITES,
        bundled.VISION_TRANSFORMER,
        arjon.RECIPE,
        *perisic.RECIPES,
        *gautam.RECIPES,
        kim.RECIPE,
        *ceng.RECIPES,
    )
}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        FacescanError: there is none; names the nearest.
    """
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(RECIPES))}"
    raise FacescanError(f"no recipe {name!r}: {hint}")
