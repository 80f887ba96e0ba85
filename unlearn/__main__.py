"""`python -m unlearn`, for `accelerate launch -m unlearn run recipe.yaml`."""

from unlearn.cli import main

main()
