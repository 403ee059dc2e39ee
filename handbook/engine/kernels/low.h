// What adapters add to a product: y += B (A x), for the rows that chose one, each its own.
//
// Axes: K inputs, r rank of one linear layer, R ranks of those side by side in a product.

// low.py makes it. A [R/16][K][16], B [16 outputs][r][16] after each other. halves: of each half of a panel, where its
// part of u = A x begins, of how many ranks it is, and where in B it begins, in sixteens. Empty where ranks is 0.
struct Low {
  int32_t kind, ranks;  // fp32, bf16 or int8
  const char *a, *b;
  const float* scales;  // int8: of each rank, of A and B together; else null
  const int32_t* halves;
  size_t bytes() const { return kind == FP32 ? 4 : kind == BF16 ? 2 : 1; }
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
  // Ask for what rows from here on add to a panel, some hundred nanoseconds before it is needed.
  void fetch(int panel, int rows) const {
    for (int m = 0; m < rows; m++) {
      if (!low[m] || (m && low[m] == low[m - 1])) continue;
      for (const int32_t *at = low[m]->halves + 6 * panel, *end = at + 6; at < end; at += 3) {
        size_t each = 16 * low[m]->bytes();
        const char* begin = low[m]->b + at[2] * each;
        for (size_t byte = 0; byte < at[1] * each; byte += 64) __builtin_prefetch(begin + byte);
      }
    }
  }
  Adds at(int row) const { return low ? Adds{low + row, u + (size_t)row * stride, stride} : Adds{}; }
};

INLINE F sixteen(const float* p, size_t n) { return load(p + 16 * n); }
INLINE F sixteen(const uint16_t* p, size_t n) { return from_bf16(p + 16 * n); }
INLINE F sixteen(const int8_t* p, size_t n) { return from_int8(p + 16 * n); }

// 16 ranks of u = A x for M rows. A row's sum has one order, whoever stands beside it.
template <int M, class T>
INLINE void shrink(const T* a, const float* x, int K, float* u, int stride) {
  F even[M], odd[M];
  for (int m = 0; m < M; m++) even[m] = odd[m] = all(0.0f);
  for (int k = 0; k < K; k += 2) {
    __builtin_prefetch((const char*)(a + 16 * k) + 4096);
    F one = sixteen(a, k), two = sixteen(a, k + 1);
    for (int m = 0; m < M; m++) {
      even[m] = fma(all(x[(size_t)m * K + k]), one, even[m]);
      odd[m] = fma(all(x[(size_t)m * K + k + 1]), two, odd[m]);
    }
  }
  for (int m = 0; m < M; m++) store(u + (size_t)m * stride, even[m] + odd[m]);
}

// The largest M first, then what is left.
template <int M, class T>
INLINE void shrink_by(const T* a, const float*& x, int& rows, int K, float*& u, int stride) {
  for (; rows >= M; rows -= M, x += (size_t)M * K, u += (size_t)M * stride) shrink<M>(a, x, K, u, stride);
}

template <class T>
void shrink_all(const Low& low, const float* x, int rows, int K, float* u, int stride) {
  for (int r = 0; r < low.ranks; r += 16) {
    const T* a = (const T*)low.a + (size_t)r * K;
    const float* from = x;
    float* to = u + r;
    int left = rows;
    if (WIDE) shrink_by<8>(a, from, left, K, to, stride), shrink_by<4>(a, from, left, K, to, stride);
    shrink_by<2>(a, from, left, K, to, stride), shrink_by<1>(a, from, left, K, to, stride);
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
    if (low->kind == FP32) shrink_all<float>(*low, some, end - begin, K, out, stride);
    if (low->kind == BF16) shrink_all<uint16_t>(*low, some, end - begin, K, out, stride);
    if (low->kind == INT8) shrink_all<int8_t>(*low, some, end - begin, K, out, stride);
    if (!low->scales) continue;
    for (int m = begin; m < end; m++, out += stride)
      for (int r = 0; r < low->ranks; r += 16) store(out + r, load(out + r) * load(low->scales + r));
  }
}

// 16 outputs of B u for M rows of one adapter; likewise in one order.
template <int M, class T>
INLINE void expand(const T* b, const float* u, int stride, int ranks, F (*out)[2]) {
  F even[M], odd[M];
  for (int m = 0; m < M; m++) even[m] = odd[m] = all(0.0f);
  for (int j = 0; j < ranks; j += 2) {
    bool last = j + 1 == ranks;
    F one = sixteen(b, j), two = last ? all(0.0f) : sixteen(b, j + 1);
    for (int m = 0; m < M; m++) {
      const float* at = u + (size_t)m * stride + j;
      even[m] = fma(all(at[0]), one, even[m]);
      if (!last) odd[m] = fma(all(at[1]), two, odd[m]);
    }
  }
  for (int m = 0; m < M; m++) out[m][0] = even[m] + odd[m];
}

template <class T>
void expand_all(const T* b, const float* u, int stride, int ranks, int rows, F (*out)[2]) {
  int m = 0;
  for (; WIDE && m + 8 <= rows; m += 8) expand<8>(b, u + (size_t)m * stride, stride, ranks, out + m);
  for (; WIDE && m + 4 <= rows; m += 4) expand<4>(b, u + (size_t)m * stride, stride, ranks, out + m);
  for (; m + 2 <= rows; m += 2) expand<2>(b, u + (size_t)m * stride, stride, ranks, out + m);
  for (; m < rows; m++) expand<1>(b, u + (size_t)m * stride, stride, ranks, out + m);
}

// What is added to a panel of each of some rows: its two halves.
void added(const Adds& adds, int panel, int rows, F (*more)[2]) {
  for (int begin = 0, end; begin < rows; begin = end) {
    const Low* low = adds.low[begin];
    for (end = begin + 1; end < rows && adds.low[end] == low; end++) {}
    for (int half = 0; half < 2; half++) {
      F(*out)[2] = (F(*)[2])(&more[begin][half]);  // steps over a row's two halves
      if (!low) {
        for (int m = 0; m < end - begin; m++) out[m][0] = all(0.0f);
        continue;
      }
      const int32_t* at = low->halves + 3 * (2 * panel + half);
      const char* b = low->b + at[2] * 16 * low->bytes();
      const float* u = adds.u + (size_t)begin * adds.stride + at[0];
      if (low->kind == FP32) expand_all((const float*)b, u, adds.stride, at[1], end - begin, out);
      if (low->kind == BF16) expand_all((const uint16_t*)b, u, adds.stride, at[1], end - begin, out);
      if (low->kind == INT8) expand_all((const int8_t*)b, u, adds.stride, at[1], end - begin, out);
    }
  }
}

}  // namespace
