// What training does between its products: attention within documents, norms, the gate, the head's softmax,
// forward and back. The large products stay torch's. Plain C ABI; each has a twin in plain torch (twin.py).
//
// bf16 in and out, fp32 inside. Rows have a stride, because some stand in a wider row beside what LoRA adds.

#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <vector>

#include "../../engine/kernels/lanes.h"

typedef uint16_t bf16;

#include "attention.h"

namespace {

INLINE float one(bf16 x) {
  uint32_t b = (uint32_t)x << 16;
  float f;
  memcpy(&f, &b, 4);
  return f;
}

INLINE F sigmoid16(F x) { return all(1.0f) / (all(1.0f) + exp16(all(0.0f) - x)); }

}  // namespace

// h = rms_norm(x + y) * w; x becomes x + y where y is given. x [N, C]; y, h bf16; root [N] is 1 / rms.
extern "C" void norm(float* x, const bf16* y, const float* w, bf16* h, float* root, int32_t N, int32_t C, int32_t at_y,
                     int32_t at_h, float eps, int32_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int n = 0; n < N; n++) {
    float* row = x + (int64_t)n * C;
    F squares = all(0.0f);
    for (int c = 0; c < C; c += 16) {
      F v = load(row + c);
      if (y) store(row + c, v = v + from_bf16(y + (int64_t)n * at_y + c));
      squares = fma(v, v, squares);
    }
    float r = 1.0f / __builtin_sqrtf(sum(squares) / C + eps);
    root[n] = r;
    for (int c = 0; c < C; c += 16) to_bf16(h + (int64_t)n * at_h + c, load(row + c) * all(r) * load(w + c));
  }
}

// g += what dh says of x; also rounded to `narrow`. dh, narrow bf16.
extern "C" void norm_back(float* g, const bf16* dh, const float* x, const float* w, const float* root, bf16* narrow,
                          int32_t N, int32_t C, int32_t at_dh, int32_t at_narrow, int32_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int n = 0; n < N; n++) {
    const float* row = x + (int64_t)n * C;
    const bf16* d = dh + (int64_t)n * at_dh;
    float* to = g + (int64_t)n * C;
    F along = all(0.0f);
    for (int c = 0; c < C; c += 16) along = fma(from_bf16(d + c) * load(w + c), load(row + c), along);
    F r = all(root[n]), pull = all(sum(along) * root[n] * root[n] * root[n] / C);
    for (int c = 0; c < C; c += 16) {
      F v = load(to + c) + (from_bf16(d + c) * load(w + c) * r - load(row + c) * pull);
      store(to + c, v);
      to_bf16(narrow + (int64_t)n * at_narrow + c, v);
    }
  }
}

// m = silu(gate) * up. gu [N, 2 F] holds both.
extern "C" void gate(const bf16* gu, bf16* m, int32_t N, int32_t width, int32_t at_gu, int32_t at_m, int32_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int n = 0; n < N; n++) {
    const bf16 *a = gu + (int64_t)n * at_gu, *b = a + width;
    for (int c = 0; c < width; c += 16) {
      F x = from_bf16(a + c);
      to_bf16(m + (int64_t)n * at_m + c, x * sigmoid16(x) * from_bf16(b + c));
    }
  }
}

// dm -> dgu, and m once more.
extern "C" void gate_back(const bf16* gu, const bf16* dm, bf16* dgu, bf16* m, int32_t N, int32_t width, int32_t at_gu,
                          int32_t at_dm, int32_t at_dgu, int32_t at_m, int32_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int n = 0; n < N; n++) {
    const bf16 *a = gu + (int64_t)n * at_gu, *d = dm + (int64_t)n * at_dm;
    bf16* to = dgu + (int64_t)n * at_dgu;
    for (int c = 0; c < width; c += 16) {
      F x = from_bf16(a + c), up = from_bf16(a + width + c), g = from_bf16(d + c);
      F s = sigmoid16(x), silu = x * s;
      to_bf16(m + (int64_t)n * at_m + c, silu * up);
      to_bf16(to + c, g * up * (s + silu - silu * s));
      to_bf16(to + width + c, g * silu);
    }
  }
}

// Turns the first `heads` heads of each row in place; sign -1 turns back. cos, sin [N, D / 2].
extern "C" void turn(bf16* x, const float* cos, const float* sin, int32_t N, int32_t heads, int32_t D, int32_t at,
                     float sign, int32_t threads) {
  int half = D / 2;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int n = 0; n < N; n++)
    for (int h = 0; h < heads; h++) {
      bf16 *a = x + (int64_t)n * at + h * D, *b = a + half;
      for (int c = 0; c < half; c += 16) {
        F u = from_bf16(a + c), v = from_bf16(b + c), co = load(cos + (int64_t)n * half + c),
          si = load(sin + (int64_t)n * half + c) * all(sign);
        to_bf16(a + c, u * co - v * si);
        to_bf16(b + c, v * co + u * si);
      }
    }
}

// log softmax(logits)[target] of each row; where slopes are wanted, logits become onehot - softmax. V % 16 == 0.
extern "C" void pick(bf16* logits, const int64_t* targets, float* out, int32_t n, int32_t V, int32_t slopes,
                     int32_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int row = 0; row < n; row++) {
    static thread_local std::vector<float> parts;
    parts.resize(V);
    bf16* x = logits + (int64_t)row * V;
    F largest = all(-INFINITE), total = all(0.0f);
    for (int c = 0; c < V; c += 16) largest = max(largest, from_bf16(x + c));
    float top = most(largest);
    for (int c = 0; c < V; c += 16) {
      F e = exp16(from_bf16(x + c) - all(top));
      total = total + e;
      store(parts.data() + c, e);
    }
    float all_parts = sum(total);
    int64_t target = targets[row];
    out[row] = one(x[target]) - top - __builtin_logf(all_parts);
    if (!slopes) continue;
    F share = all(-1.0f / all_parts);
    for (int c = 0; c < V; c += 16) to_bf16(x + c, load(parts.data() + c) * share);
    float both[16] = {1.0f - parts[target] / all_parts};
    bf16 rounded[16];
    to_bf16(rounded, load(both));
    x[target] = rounded[0];
  }
}
