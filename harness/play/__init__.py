"""The engine: sessions on a console, the player of scenarios, and the judge of what they leave behind."""
