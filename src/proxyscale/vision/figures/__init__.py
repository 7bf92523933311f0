"""Pictures of image studies: their statistics, losses, images and scores in; figures out.

As the room `figures`, and drawn with its page and its style.
"""
