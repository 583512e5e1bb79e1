"""The pages by their addresses, one file for each thing that has pages. Handlers parse, ask, and render."""
