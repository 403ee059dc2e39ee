"""The Llama-family decoder and the parts it is made of, readable first."""
