"""Routes, a file for each subject: `router(context)` makes them."""
