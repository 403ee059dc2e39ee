"""The book as data: chapters, claims, questions, exercises and references, with links both ways.

    load      open_book(root) -> Book; reads everything, checks everything, raises for nothing in the content
    render    a chapter (or a fragment of Markdown) as HTML
    fill      rewrites what is computed: code included by symbol, the text of claims
    draw      figures.py -> figures/*.svg
    verify    reruns the labs and compares; records with machine, date and command
    exercises runs a submission against its tests
    status    what is written and what is not

Nothing here imports torch or marimo; `verify` loads a lab, which may.
"""
