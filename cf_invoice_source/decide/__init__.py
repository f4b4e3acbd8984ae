"""The pure room: values in, values out.

Everything that this package decides (what an answer says, what a record is worth, which page comes next)
is decided here, by functions without I/O that import nothing but the standard library.
"""
