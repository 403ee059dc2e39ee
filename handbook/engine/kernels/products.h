// Products with packed weights, and what stands around them: RMSNorm before; what adapters add, y =, y += or
// SwiGLU's gate behind.
//
// Axes: M rows (tokens), K inputs, N outputs.

#include <utility>
#include <vector>

namespace {

enum Kind { FP32 = 0, BF16 = 1, INT8 = 2, INT4 = 3 };
enum After { STORE = 0, ADD = 1, SILU = 2 };  // y = , y += , y = silu(gate) * up

}  // namespace

#include "low.h"

// A weight [N, K] in panels of 32 outputs. Of each, all that belongs to one group of inputs (1, 2 or 4 of
// them, 32 bits) lies together: [N/32][K/group][32][group]. int4: [N/32][K/32] of `Small`. pack.py makes it.
struct Linear {
  int32_t kind, outputs, inputs, after, rotate;
  float eps;
  const char* panels;
  const float* scales;    // int8: of each output
  const int32_t* starts;  // int8: -128 * sum of the weights of each output
  const float* bias;      // or null
  const float* norm;      // weight of the RMSNorm before the product, or null
};

// 32 inputs of a panel in 4 bits: scale * whole + least, with whole numbers from 0 to 15. A byte has an input of
// output n (its low half) and of output n + 16.
struct Small {
  uint8_t wholes[8][64];
  uint16_t scales[32], least[32];  // fp16
};

namespace {

struct Fp32 {
  using Sum = F;
  static Sum start(const int32_t*) { return all(0.0f); }
  static Sum dot(Sum s, W a, W w) { return fma(bits(a), bits(w), s); }
  static F value(Sum s, float, const float*) { return s; }
};

struct Bf16 : Fp32 {
  static Sum dot(Sum s, W a, W w) { return dot2(s, a, w); }
};

struct Int8 {
  using Sum = W;
  static Sum start(const int32_t* p) { return OFFSET ? words(p) : word(0); }
  static Sum dot(Sum s, W a, W w) { return dot_weights(s, a, w); }
  static F value(Sum s, float scale, const float* scales) { return floats(s) * (load(scales) * all(scale)); }
};

// What a panel's 32 sums become in a row of y. more: what is added to them, or null.
INLINE void finish(const Linear& w, int panel, F low, F high, float* row, const F* more) {
  int n = panel * 32, wide = w.after == SILU ? w.outputs / 2 : w.outputs;
  if (w.bias) low = low + load(w.bias + n), high = high + load(w.bias + n + 16);
  if (more) low = low + more[0], high = high + more[1];
  if (w.after == SILU) return store(row + n / 2, silu16(low) * high, wide - n / 2);
  if (w.after == ADD) low = low + load(row + n, wide - n), high = high + load(row + n + 16, wide - n - 16);
  store(row + n, low, wide - n);
  store(row + n + 16, high, wide - n - 16);
}

// One panel against M rows x of `stride` bytes each, into rows of y that are `wide`.
template <class K, int M>
void tile(const Linear& w, int panel, const char* x, size_t stride, const float* scale, float* y, int wide,
          const Adds& adds) {
  typename K::Sum sum[M][2];
  for (int m = 0; m < M; m++)
    for (int h = 0; h < 2; h++) sum[m][h] = K::start(w.starts + panel * 32 + h * 16);
  if (adds.low) adds.fetch(panel, M);
  int groups = stride / 4;
  const char* at = w.panels + (size_t)panel * groups * 128;
  const int32_t* rows = (const int32_t*)x;
  for (int g = 0; g < groups; g++, at += 128) {
    if (M <= 4) __builtin_prefetch(at + 4096), __builtin_prefetch(at + 4160);
    W low = words(at), high = words(at + 64);
    for (int m = 0; m < M; m++) {
      W a = word(rows[(size_t)m * groups + g]);
      sum[m][0] = K::dot(sum[m][0], a, low);
      sum[m][1] = K::dot(sum[m][1], a, high);
    }
  }
  F more[M][2];
  if (adds.low) added(adds, panel, M, more);
  for (int m = 0; m < M; m++) {
    const float* scales = w.scales + panel * 32;
    F low = K::value(sum[m][0], scale[m], scales), high = K::value(sum[m][1], scale[m], scales + 16);
    finish(w, panel, low, high, y + (size_t)m * wide, adds.low ? more[m] : nullptr);
  }
}

// The same for int4, whose activations have a scale for each 32 inputs: behind a row's bytes, then their sums.
struct Int4 {};

template <int M>
void tile4(const Linear& w, int panel, const char* x, size_t stride, float* y, int wide, const Adds& adds) {
  F sum[M][2];
  for (int m = 0; m < M; m++) sum[m][0] = sum[m][1] = all(0.0f);
  if (adds.low) adds.fetch(panel, M);
  int groups = w.inputs / 32;
  const Small* at = (const Small*)w.panels + (size_t)panel * groups;
  for (int g = 0; g < groups; g++, at++) {
    for (int line = 0; line < 10; line++) __builtin_prefetch((const char*)at + 5120 + line * 64);
    W low[8], high[8];
    for (int q = 0; q < 8; q++) {
      W both = words(at->wholes[q]);
      low[q] = low4(both), high[q] = high4(both);
    }
    F scale[2] = {from_fp16(at->scales), from_fp16(at->scales + 16)};
    F least[2] = {from_fp16(at->least), from_fp16(at->least + 16)};
    for (int m = 0; m < M; m++) {
      const char* row = x + m * stride;
      const int32_t* whole = (const int32_t*)row + g * 8;
      const float* scales = (const float*)(row + w.inputs) + g;
      W a = word(0), b = word(0);
      for (int q = 0; q < 8; q++) {
        W part = word(whole[q]);
        a = dot_small(a, part, low[q]);
        b = dot_small(b, part, high[q]);
      }
      F by = all(scales[0]), total = all(scales[groups]);
      sum[m][0] = fma(least[0], total, fma(floats(a), scale[0] * by, sum[m][0]));
      sum[m][1] = fma(least[1], total, fma(floats(b), scale[1] * by, sum[m][1]));
    }
  }
  F more[M][2];
  if (adds.low) added(adds, panel, M, more);
  for (int m = 0; m < M; m++)
    finish(w, panel, sum[m][0], sum[m][1], y + (size_t)m * wide, adds.low ? more[m] : nullptr);
}

// Rows of a tile: so many that sums, weights and an activation fill the registers.
template <class K>
constexpr int ROWS = WIDE ? 12 : 3;
template <>
constexpr int ROWS<Int4> = WIDE ? 4 : 2;

template <class K, int M>
void tile_any(const Linear& w, int panel, const char* x, size_t stride, const float* scale, float* y, int wide,
              const Adds& adds) {
  if constexpr (std::is_same_v<K, Int4>) tile4<M>(w, panel, x, stride, y, wide, adds);
  else tile<K, M>(w, panel, x, stride, scale, y, wide, adds);
}

template <class K, int... M>
void tile_of(std::integer_sequence<int, M...>, int rows, const Linear& w, int panel, const char* x, size_t stride,
             const float* scale, float* y, int wide, const Adds& adds) {
  using Tile = void (*)(const Linear&, int, const char*, size_t, const float*, float*, int, const Adds&);
  static constexpr Tile tiles[] = {tile_any<K, M + 1>...};
  tiles[rows - 1](w, panel, x, stride, scale, y, wide, adds);
}

// Fast Walsh-Hadamard transform of each 64 of x [n], over 8: a rotation that spreads outliers.
void rotate64(float* x, int n) {
  F eighth = all(0.125f);
  for (float* end = x + n; x < end; x += 64) {
    F v[4];
    for (int i = 0; i < 4; i++) v[i] = butterflies(load(x + 16 * i));
    F a = v[0] + v[1], b = v[0] - v[1], c = v[2] + v[3], d = v[2] - v[3];
    store(x, (a + c) * eighth);
    store(x + 16, (b + d) * eighth);
    store(x + 32, (a - c) * eighth);
    store(x + 48, (b - d) * eighth);
  }
}

// x [n], n a multiple of 16, as whole numbers within +-127, `offset` larger. Returns their scale.
INLINE float to_wholes(const float* x, int n, int8_t* out, int offset) {
  F largest = all(0.0f);
  for (int i = 0; i < n; i += 16) largest = max(largest, absolute(load(x + i)));
  float top = most(largest);
  F by = all(top > 0 ? 127.0f / top : 0.0f);
  for (int i = 0; i < n; i += 16) to_int8(out + i, load(x + i) * by, offset);
  return top / 127.0f;
}

// A row x [K], normalised into `row` where the product wants it. Returns where it is.
const float* normed(const Linear& w, const float* x, float* row) {
  if (!w.norm) return x;
  int K = w.inputs;
  F squares = all(0.0f);
  for (int i = 0; i < K; i += 16) squares = fma(load(x + i), load(x + i), squares);
  F by = all(1.0f / __builtin_sqrtf(sum(squares) / K + w.eps));
  for (int i = 0; i < K; i += 16) store(row + i, load(x + i) * by * load(w.norm + i));
  return row;
}

// A row x [K] as the product reads it. Returns its scale.
float prepare(const Linear& w, const float* x, char* out, float* row) {
  int K = w.inputs;
  if (w.kind == FP32) {
    memcpy(out, x, K * sizeof(float));
  } else if (w.kind == BF16) {
    for (int i = 0; i < K; i += 16) to_bf16((uint16_t*)out + i, load(x + i));
  } else if (w.kind == INT4) {
    float *scales = (float*)(out + K), *sums = scales + K / 32;
    for (int g = 0; g < K / 32; g++) {
      int8_t* some = (int8_t*)out + g * 32;
      scales[g] = to_wholes(x + g * 32, 32, some, 0);
      sums[g] = scales[g] * sum(from_int8(some) + from_int8(some + 16));
    }
  } else {
    if (w.rotate) {
      if (x != row) memcpy(row, x, K * sizeof(float));
      rotate64(row, K);
      x = row;
    }
    return to_wholes(x, K, (int8_t*)out, OFFSET);
  }
  return 1.0f;
}

// A row's largest output so far, and the first that is so large.
struct Best {
  float value = -INFINITE;
  int32_t at = 0;
  void see(const float* some, int begin, int n) {  // n at most 32, the rest of them -inf
    if (most(max(load(some), load(some + 16))) <= value) return;
    for (int i = 0; i < n; i++)
      if (some[i] > value) value = some[i], at = begin + i;
  }
};

// x [M, K] through a product into y, or with `bests` only the largest output of each row, for each of so many bundles
// of panels [bundles, M]. lows: what is added to each row, or null for nothing.
template <class K>
void product(const Linear& w, const float* x, float* y, int rows, int threads, std::vector<Best>* bests = nullptr,
             const Low* const* lows = nullptr) {
  static thread_local std::vector<char> kept;
  static thread_local std::vector<float> kept_scales;
  size_t bytes = w.kind == FP32 ? 4 : w.kind == BF16 ? 2 : 1;
  size_t stride = w.kind == INT4 ? w.inputs + w.inputs / 4 : w.inputs * bytes;
  int wide = w.after == SILU ? w.outputs / 2 : w.outputs, panels = (w.outputs + 31) / 32;
  if (kept.size() < rows * stride) kept.resize(rows * stride);
  if (kept_scales.size() < (size_t)rows) kept_scales.resize(rows);
  char* seen = kept.data();
  float* scales = kept_scales.data();
  static thread_local std::vector<float> kept_u;
  int ranks = 0;
  if (lows)
    for (int m = 0; m < rows; m++) ranks = std::max(ranks, lows[m] ? lows[m]->ranks : 0);
  if (kept_u.size() < (size_t)rows * ranks) kept_u.resize((size_t)rows * ranks);
  Adds adds{ranks ? lows : nullptr, kept_u.data(), ranks};
  // Rows that stay in a core's second cache while all panels pass by.
  int high = ROWS<K>, many = std::max(high, (int)((384 << 10) / stride) / high * high), blocks = (rows + many - 1) / many;
  int parts = std::min(rows, adds.low ? 2 * threads : threads);
  pool().run(parts, rows > 1 ? threads : 1, [&](int part) {
    static thread_local std::vector<float> row, plain;
    if (row.size() < (size_t)w.inputs) row.resize(w.inputs);
    int begin = rows * part / parts, end = rows * (part + 1) / parts;
    size_t each = adds.low ? w.inputs : 0;  // adapters read rows as they are before rounding: these are kept
    if (plain.size() < (end - begin) * each) plain.resize((end - begin) * each);
    const float* first = x + (size_t)begin * w.inputs;
    for (int m = begin; m < end; m++) {
      const float* one = normed(w, x + (size_t)m * w.inputs, each ? plain.data() + (m - begin) * each : row.data());
      scales[m] = prepare(w, one, seen + m * stride, row.data());
    }
    if (each)
      shrink_rows(lows + begin, w.norm ? plain.data() : first, end - begin, w.inputs, (float*)adds.u + (size_t)begin * ranks, ranks);
  });
  // Some panels at a time, so that a helper that stops for a while holds up little.
  int each = std::max(1, std::min(panels / (8 * threads), 16)), bundles = (panels + each - 1) / each;
  if (bests) bests->assign((size_t)bundles * rows, Best());
  pool().run(blocks * bundles, threads, [&](int item) {
    int from = item / bundles * many, to = std::min(rows, from + many), tiles = (to - from + high - 1) / high;
    int begin = item % bundles * each, end = std::min(panels, begin + each);
    for (int panel = begin; panel < end; panel++)
      for (int t = 0; t < tiles; t++) {
        int a = from + (to - from) * t / tiles, b = from + (to - from) * (t + 1) / tiles;
        auto sizes = std::make_integer_sequence<int, ROWS<K>>();
        const char* some = seen + a * stride;
        if (!bests) {
          tile_of<K>(sizes, b - a, w, panel, some, stride, scales + a, y + (size_t)a * wide, wide, adds.at(a));
          continue;
        }
        float out[ROWS<K>][32];
        int n = std::min(32, w.outputs - panel * 32);
        if (n < 32) std::fill(&out[0][0], &out[0][0] + ROWS<K> * 32, -INFINITE);
        tile_of<K>(sizes, b - a, w, panel, some, stride, scales + a, &out[0][0] - panel * 32, 32, Adds{});
        Best* best = bests->data() + (size_t)(item % bundles) * rows + a;
        for (int m = 0; m < b - a; m++) best[m].see(out[m], panel * 32, n);
      }
  });
}

void product_any(const Linear& w, const float* x, float* y, int rows, int threads, std::vector<Best>* bests = nullptr,
                 const Low* const* lows = nullptr) {
  if (w.kind == FP32) product<Fp32>(w, x, y, rows, threads, bests, lows);
  if (w.kind == BF16) product<Bf16>(w, x, y, rows, threads, bests, lows);
  if (w.kind == INT8) product<Int8>(w, x, y, rows, threads, bests, lows);
  if (w.kind == INT4) product<Int4>(w, x, y, rows, threads, bests, lows);
}

}  // namespace

// x [M, K] -> y [M, N], or [M, N/2] after SILU; rows of both lie one after another.
extern "C" void linear(const Linear* w, const float* x, float* y, int32_t rows, int32_t threads) {
  product_any(*w, x, y, rows, threads);
}

// x [M, K] -> for each row the first of its largest outputs [M], as if `linear` had stored them.
extern "C" void likeliest(const Linear* w, const float* x, int32_t* ids, int32_t rows, int32_t threads) {
  static thread_local std::vector<Best> bests;
  product_any(*w, x, nullptr, rows, threads, &bests);
  for (int m = 0; m < rows; m++) {
    Best best;
    for (size_t b = m; b < bests.size(); b += rows)
      if (bests[b].value > best.value) best = bests[b];
    ids[m] = best.at;
  }
}
