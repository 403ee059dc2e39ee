"""What the notebooks of the chapters share: measuring (`kit`) and drawing (`charts`).

On top of the book and of the model, below the app; both load on use.
"""
