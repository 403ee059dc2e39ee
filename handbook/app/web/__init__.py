"""The pages: a FastAPI app, server-rendered, on loopback only.

main      create_app: middleware, routes, what happens at the start
shelf     what every room takes from: the book, the corpus, the tutor, the chat model, the state
security  who may ask, and the headers of every answer
tokens    one-time tokens for whatever changes state
pages     templates, and the few values that every page has
faults    errors as pages: what happened, what is safe, what to do
jobs      work in the background, with its progress
rooms/    one module a room
"""

from handbook.app.web.main import create_app

__all__ = ["create_app"]
