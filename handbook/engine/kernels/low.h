// What adapters add to a product: y += B (A x), for the rows that chose one, each its own.
//
// Axes: K inputs, r rank of one linear layer, R ranks of those side by side in a product.

// low.py makes it. A [R/16][K][16], B [16 outputs][r][16] after each other. halves: of each half of a panel, where its part
// of u = A x begins, of how many ranks it is, and where in B it begins, in sixteens. Empty where ranks is 0.
struct Low {
  int32_t kind, ranks;
  const char *a, *b;
  const int32_t* halves;
};

// of: for each row which of the `lows`, or -1. lows: of each adapter in the batch, [layers][4 products].
struct Chosen {
  const int32_t* of;
  const Low* const* lows;
};

namespace {

// Rows' u, `stride` apart, and what each of them chose; null where nothing is added.
struct Adds {
  const Low* const* low;
  const float* u;
  int stride;
  Adds at(int row) const { return low ? Adds{low + row, u + (size_t)row * stride, stride} : Adds{}; }
};

INLINE F sixteen(const float* p, size_t n) { return load(p + 16 * n); }
INLINE F sixteen(const uint16_t* p, size_t n) { return from_bf16(p + 16 * n); }

// 16 ranks of u = A x for M rows. A row's sum has one order, whoever stands beside it.
template <int M, class T>
INLINE void shrink(const T* a, const float* x, int K, float* u, int stride) {
  F even[M], odd[M];
  for (int m = 0; m < M; m++) even[m] = odd[m] = all(0.0f);
  for (int k = 0; k < K; k += 2) {
    F one = sixteen(a, k), two = sixteen(a, k + 1);
    for (int m = 0; m < M; m++) {
      even[m] = fma(all(x[(size_t)m * K + k]), one, even[m]);
      odd[m] = fma(all(x[(size_t)m * K + k + 1]), two, odd[m]);
    }
  }
  for (int m = 0; m < M; m++) store(u + (size_t)m * stride, even[m] + odd[m]);
}

template <class T>
void shrink_all(const Low& low, const float* x, int rows, int K, float* u, int stride) {
  constexpr int MANY = WIDE ? 6 : 2;
  for (int r = 0; r < low.ranks; r += 16) {
    const T* a = (const T*)low.a + (size_t)r * K;
    int m = 0;
    for (; m + MANY <= rows; m += MANY) shrink<MANY>(a, x + (size_t)m * K, K, u + (size_t)m * stride + r, stride);
    for (; m < rows; m++) shrink<1>(a, x + (size_t)m * K, K, u + (size_t)m * stride + r, stride);
  }
}

// u of rows x [rows, K], runs of one adapter together.
void shrink_rows(const Low* const* lows, const float* x, int rows, int K, float* u, int stride) {
  for (int begin = 0, end; begin < rows; begin = end) {
    for (end = begin + 1; end < rows && lows[end] == lows[begin]; end++) {}
    const Low* low = lows[begin];
    if (!low) continue;
    const float* some = x + (size_t)begin * K;
    float* out = u + (size_t)begin * stride;
    if (low->kind == BF16) shrink_all<uint16_t>(*low, some, end - begin, K, out, stride);
    else shrink_all<float>(*low, some, end - begin, K, out, stride);
  }
}

template <class T>
INLINE F expand(const T* b, const float* u, int ranks) {
  F even = all(0.0f), odd = all(0.0f);
  int j = 0;
  for (; j + 2 <= ranks; j += 2) {
    even = fma(all(u[j]), sixteen(b, j), even);
    odd = fma(all(u[j + 1]), sixteen(b, j + 1), odd);
  }
  if (j < ranks) even = fma(all(u[j]), sixteen(b, j), even);
  return even + odd;
}

// What is added to one half of a panel of a row.
INLINE F added(const Low& low, const float* u, int half) {
  const int32_t* at = low.halves + 3 * half;
  size_t begin = (size_t)at[2] * 16;
  if (low.kind == BF16) return expand((const uint16_t*)low.b + begin, u + at[0], at[1]);
  return expand((const float*)low.b + begin, u + at[0], at[1]);
}

}  // namespace
