"""The columns of the prepared file, for the programs."""

TARGET = "arr_delay"  # minutes; negative is early
CATEGORIES = ["carrier", "origin", "dest"]
WEATHER = ["humid", "wind_speed", "precip", "visib"]  # no temperature: the model would learn the season from it
NUMBERS = ["hour", "weekday", "distance", "scheduled_minutes", "recent_delay", "plane_age", "seats", *WEATHER]
WATCHED = [*CATEGORIES, *(name for name in NUMBERS if name != "weekday")]  # a week has each weekday: nothing to see
