"""How well a method predicts donors it has not seen."""
