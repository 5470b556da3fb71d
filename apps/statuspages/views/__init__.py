"""The doors: `public` for everybody, `editor` for members."""
