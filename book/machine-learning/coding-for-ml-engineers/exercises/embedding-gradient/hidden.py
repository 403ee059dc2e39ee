"""Hidden tests: the library, one-hot products, float16, huge ids, empty batches, arguments."""

import numpy as np
import torch

from handbook.practice.checks import close, equal, unchanged


def test_product_with_one_hot_rows(submission):
    """Thirty random batches against the product of one-hot rows, transposed, and dy."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        ids, dy = rng.integers(6, size=(3, 4)), rng.normal(size=(3, 4, 2))
        padding = None if seed % 2 else int(rng.integers(6))
        hot = (ids.reshape(-1, 1) == np.arange(6)).astype(float)
        if padding is not None:
            hot[:, padding] = 0
        expected = hot.T @ dy.reshape(-1, 2)
        close(submission.embedding_gradient(ids, dy, 6, padding), expected, f"seed {seed}", rtol=1e-9)
        rows, sums = submission.touched(ids, dy, padding)
        equal(rows.tolist(), sorted(set(ids.flatten().tolist()) - {padding}), f"rows, seed {seed}")
        close(sums, expected[rows], f"sums, seed {seed}", rtol=1e-9)


def test_parity_with_torch(submission):
    """Equals the gradient of torch's embedding with a padding index."""
    rng = np.random.default_rng(50)
    ids, dy = rng.integers(9, size=(4, 6)), rng.normal(size=(4, 6, 3))
    table = torch.zeros(9, 3, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.embedding(torch.from_numpy(ids), table, padding_idx=4).backward(torch.from_numpy(dy))
    close(submission.embedding_gradient(ids, dy, 9, 4), table.grad.numpy(), "gradient", peer="torch")


def test_float16_does_not_stall(submission):
    """4,096 rows of 1 in float16 add up to 4,096, not to 2,048."""
    ids, dy = np.zeros(4096, dtype=np.int64), np.ones((4096, 2), np.float16)
    got = submission.embedding_gradient(ids, dy, 1)
    close(got, np.full((1, 2), 4096, np.float16), "4,096 times 1", dtype=np.float16)


def test_dtype_of_dy_is_kept(submission):
    """float32 stays float32 and float64 keeps its digits."""
    for dtype in (np.float32, np.float64):
        dy = np.array([[1.0], [1e-12]], dtype)
        got = submission.embedding_gradient(np.array([1, 1]), dy, 2)
        close(got, np.array([[0], [dy.sum()]], dtype), f"{dtype.__name__}", rtol=1e-15, atol=0, dtype=dtype)


def test_ids_may_be_huge(submission):
    """touched needs memory for the rows that occur only: ids up to 10 to the 12th."""
    rows, sums = submission.touched(np.array([10**12, 5, 10**12]), np.array([[1.0], [2.0], [3.0]]))
    equal(rows.tolist(), [5, 10**12], "rows")
    close(sums, np.array([[2.0], [4.0]]), "sums")


def test_no_tokens(submission):
    """An empty batch, and one of padding alone, touch no row."""
    for ids, dy in ((np.zeros((0,), int), np.zeros((0, 3))), (np.array([1, 1]), np.ones((2, 3)))):
        rows, sums = submission.touched(ids, dy, 1)
        equal((rows.tolist(), tuple(sums.shape)), ([], (0, 3)), f"rows and shape for {len(ids)} tokens")
        close(
            submission.embedding_gradient(ids, dy, 2, 1), np.zeros((2, 3)), f"gradient of {len(ids)} tokens"
        )


def test_a_batch_of_real_size(submission):
    """65,536 tokens of a vocabulary of 50,000; ids and dy unchanged."""
    rng = np.random.default_rng(51)
    ids, dy = rng.integers(50_000, size=65_536), rng.normal(size=(65_536, 16)).astype(np.float32)
    before = ids.copy(), dy.copy()
    got = submission.embedding_gradient(ids, dy, 50_000)
    close(got.astype(np.float64).sum(0), dy.astype(np.float64).sum(0), "sum over rows", rtol=1e-3, atol=1e-2)
    unchanged(ids, before[0], "ids")
    unchanged(dy, before[1], "dy")
