// Attention within stretches of a packed row, forward and back, in tiles of 64 x 64 that stay in the first cache.
//
// FlashAttention's algorithm (Dao et al. 2022, arXiv:2205.14135, algorithms 1 and 4): softmax online forward, the
// weights computed again from their logarithmic sum on the way back. All products are one small product: rows
// whose neighbours in K lie in pairs (a word of two bf16), by a matrix packed so that a word holds the same two of K.

namespace {

constexpr int TILE = 64;
constexpr int MOST = 128;  // of D

INLINE int tiles(int n) { return (n + TILE - 1) / TILE; }

// c [rows, 64] (+)= a [rows, 2 K] b [K][64] in words; rows is a multiple of 8. `at_a` counts words, `at_c` floats.
template <bool ADD>
INLINE void product(const int32_t* a, int at_a, const int32_t* b, int at_b, int K, float* c, int at_c, int rows,
                    int columns) {
  for (int r = 0; r < rows; r += 8)
    for (int j = 0; j < columns; j += 32) {
      const int32_t* row = a + r * at_a;
      float* to = c + r * at_c + j;
      F s[8][2];
#pragma GCC unroll 8
      for (int i = 0; i < 8; i++)
        for (int v = 0; v < 2; v++) s[i][v] = ADD ? load(to + i * at_c + 16 * v) : all(0.0f);
      for (int k = 0; k < K; k++) {
        W left = words(b + k * at_b + j), right = words(b + k * at_b + j + 16);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
          W x = word(row[i * at_a + k]);
          s[i][0] = dot2(s[i][0], x, left);
          s[i][1] = dot2(s[i][1], x, right);
        }
      }
#pragma GCC unroll 8
      for (int i = 0; i < 8; i++)
        for (int v = 0; v < 2; v++) store(to + i * at_c + 16 * v, s[i][v]);
    }
}

// x [rows, columns] -> to [columns, rows], in blocks that stay in registers' reach.
template <class T>
INLINE void transposed(const T* __restrict x, int at, int rows, int columns, T* __restrict to, int at_to) {
  for (int r = 0; r < rows; r += 16)
    for (int c = 0; c < columns; c++)
      for (int i = 0; i < 16; i++) to[c * at_to + r + i] = x[(r + i) * at + c];
}

// Two rows [2, n] as pairs, [n][2].
INLINE void interleave(const bf16* __restrict rows, int n, bf16* __restrict to) {
  for (int c = 0; c < n; c++) to[2 * c] = rows[c], to[2 * c + 1] = rows[n + c];
}

// Copies of rows [T, D] for one head, filled up with zeros to whole tiles.
struct Rows {
  int T, full, D;
  std::vector<bf16> plain;    // [full, D]
  std::vector<bf16> across;   // [D, full]
  std::vector<int32_t> by_channel;  // [tile][D / 2][64]: a word is two channels of one row
  std::vector<int32_t> by_row;      // [full / 2][D]: a word is one channel of two rows

  void read(const bf16* x, int64_t at, int rows, int width) {
    T = rows, D = width, full = tiles(T) * TILE;
    plain.resize(full * D);
    for (int t = 0; t < T; t++) memcpy(&plain[t * D], x + t * at, D * 2);
    memset(&plain[T * D], 0, (full - T) * D * 2);
  }
  const int32_t* natural(int t) const { return (const int32_t*)&plain[t * D]; }
  void channels() {
    by_channel.resize(full * D / 2);
    for (int tile = 0; tile < full / TILE; tile++)
      transposed(natural(tile * TILE), D / 2, TILE, D / 2, &by_channel[tile * TILE * D / 2], TILE);
  }
  const int32_t* channels_of(int tile) const { return &by_channel[tile * TILE * D / 2]; }
  void pairs() {
    by_row.resize(full / 2 * D);
    for (int t = 0; t < full / 2; t++) interleave(&plain[2 * t * D], D, (bf16*)&by_row[t * D]);
  }
  const int32_t* pairs_of(int tile) const { return &by_row[tile * (TILE / 2) * D]; }
  void transpose() {
    across.resize(full * D);
    transposed(plain.data(), D, full, D, across.data(), full);
  }
};

}  // namespace

// A stretch of rows that see each other causally, and before them all rows of another (a prompt that answers share;
// empty where there is none). Stretches of one group stand together: they share keys' gradients.
struct Stretch {
  int32_t begin, end, prefix_begin, prefix_end;
};

struct Shape {
  int32_t heads, kv_heads, D, at_qkv, at_y, rows, threads;
  float scale;
};

// qkv [N, (H + 2 J) D] turned -> y [N, H D] and sums [H, N], the logarithms of what each row's weights sum to.
extern "C" void attend(const Shape* s, const Stretch* stretches, int32_t count, const bf16* qkv, bf16* y, float* sums) {
  int D = s->D, group = s->heads / s->kv_heads;
#pragma omp parallel for num_threads(s->threads) schedule(dynamic, 1)
  for (int item = 0; item < count * s->kv_heads; item++) {
    static thread_local Rows q, k[2], v[2];
    alignas(64) static thread_local float scores[TILE * TILE], out[TILE * MOST];
    alignas(64) static thread_local bf16 weights[TILE * TILE];
    const Stretch& st = stretches[item / s->kv_heads];
    int j = item % s->kv_heads, T = st.end - st.begin, P = st.prefix_end - st.prefix_begin;
    const bf16 *keys = qkv + (s->heads + j) * D, *values = keys + s->kv_heads * D;
    int64_t at = s->at_qkv;
    k[0].read(keys + st.prefix_begin * at, at, P, D), v[0].read(values + st.prefix_begin * at, at, P, D);
    k[1].read(keys + st.begin * at, at, T, D), v[1].read(values + st.begin * at, at, T, D);
    for (int part = 0; part < 2; part++) k[part].channels(), v[part].pairs();
    for (int h = j * group; h < (j + 1) * group; h++) {
      q.read(qkv + st.begin * at + h * D, at, T, D);
      for (int tile = 0; tile < tiles(T); tile++) {
        float largest[TILE], total[TILE];
        std::fill(largest, largest + TILE, -1e30f), std::fill(total, total + TILE, 0.0f);
        std::fill(out, out + TILE * D, 0.0f);
        int rows = std::min(TILE, T - tile * TILE), whole = (rows + 7) / 8 * 8;
        for (int part = 0; part < 2; part++)
          for (int kt = 0; kt < (part ? tile + 1 : tiles(P)); kt++) {
            product<false>(q.natural(tile * TILE), D / 2, k[part].channels_of(kt), TILE, D / 2, scores, TILE, whole,
                           TILE);
            for (int r = 0; r < whole; r++) {
              int seen = part ? (kt == tile ? r + 1 : TILE) : std::min(TILE, P - kt * TILE);
              float* row = scores + r * TILE;
              F x[4], top = all(-1e30f);
              for (int i = 0; i < 4; i++) {
                x[i] = load(row + 16 * i) * all(s->scale);
                if (seen < TILE) x[i] = keep(x[i], std::max(0, seen - 16 * i), -1e30f);
                top = max(top, x[i]);
              }
              float now = std::max(largest[r], most(top));
              F sum16 = all(0.0f);
              for (int i = 0; i < 4; i++) {
                F e = exp16(x[i] - all(now));
                if (seen < TILE) e = keep(e, std::max(0, seen - 16 * i), 0.0f);
                sum16 = sum16 + e;
                to_bf16(weights + r * TILE + 16 * i, e);
              }
              if (now != largest[r]) {
                float shrink = largest[r] == -1e30f ? 0.0f : __builtin_expf(largest[r] - now);
                total[r] *= shrink, largest[r] = now;
                for (int c = 0; c < D; c += 16) store(out + r * D + c, load(out + r * D + c) * all(shrink));
              }
              total[r] += sum(sum16);
            }
            product<true>((const int32_t*)weights, TILE / 2, v[part].pairs_of(kt), D, TILE / 2, out, D, whole, D);
          }
        for (int r = 0; r < rows; r++) {
          int64_t n = st.begin + tile * TILE + r;
          sums[(int64_t)h * s->rows + n] = largest[r] + __builtin_logf(total[r]);
          for (int c = 0; c < D; c += 16)
            to_bf16(y + n * s->at_y + h * D + c, load(out + r * D + c) * all(1.0f / total[r]));
        }
      }
    }
  }
}

// dy -> dqkv, of the turned q and k. groups [count of groups + 1]: where each group's stretches begin; its first
// stretch is the one that the others have for a prefix, where they have one.
extern "C" void attend_back(const Shape* s, const Stretch* stretches, const int32_t* groups, int32_t count,
                            const bf16* qkv, const bf16* y, const bf16* dy, const float* sums, bf16* dqkv,
                            int32_t at_dy, int32_t at_out) {
  int D = s->D, group = s->heads / s->kv_heads;
#pragma omp parallel for num_threads(s->threads) schedule(dynamic, 1)
  for (int item = 0; item < count * s->kv_heads; item++) {
    static thread_local Rows q, d;
    static thread_local std::vector<Rows> keys, values;
    static thread_local std::vector<std::vector<float>> to_keys, to_values;
    alignas(64) static thread_local float scores[TILE * TILE], slopes[TILE * TILE], to_q[MOST * TILE], turned[MOST * TILE];
    alignas(64) static thread_local bf16 p[TILE * TILE], ds[TILE * TILE];
    alignas(64) static thread_local int32_t packed[TILE / 2 * TILE];
    int first = groups[item / s->kv_heads], past = groups[item / s->kv_heads + 1], j = item % s->kv_heads;
    int64_t at = s->at_qkv;
    int some = past - first;
    if ((int)keys.size() < some) keys.resize(some), values.resize(some), to_keys.resize(some), to_values.resize(some);
    for (int i = 0; i < some; i++) {
      const Stretch& st = stretches[first + i];
      const bf16* k = qkv + st.begin * at + (s->heads + j) * D;
      keys[i].read(k, at, st.end - st.begin, D), values[i].read(k + s->kv_heads * D, at, st.end - st.begin, D);
      keys[i].transpose();
      to_keys[i].assign(keys[i].full * D, 0.0f), to_values[i].assign(keys[i].full * D, 0.0f);
    }
    for (int i = 0; i < some; i++) {
      const Stretch& st = stretches[first + i];
      int T = st.end - st.begin, P = st.prefix_end - st.prefix_begin;
      for (int h = j * group; h < (j + 1) * group; h++) {
        q.read(qkv + st.begin * at + h * D, at, T, D), q.channels(), q.pairs();
        d.read(dy + st.begin * (int64_t)at_dy + h * D, at_dy, T, D), d.channels(), d.pairs();
        for (int tile = 0; tile < tiles(T); tile++) {
          alignas(64) float total[TILE], inner[TILE];
          for (int r = 0; r < TILE; r++) {
            int t = tile * TILE + r;
            total[r] = 1e30f, inner[r] = 0;
            if (t >= T) continue;
            int64_t n = st.begin + t;
            F along = all(0.0f);
            for (int c = 0; c < D; c += 16)
              along = fma(from_bf16(&d.plain[t * D + c]), from_bf16(y + n * s->at_y + h * D + c), along);
            total[r] = sums[(int64_t)h * s->rows + n], inner[r] = sum(along);
          }
          std::fill(to_q, to_q + D * TILE, 0.0f);
          for (int part = P ? 0 : 1; part < 2; part++) {
            int of = part ? i : 0;
            for (int kt = 0; kt < (part ? tile + 1 : tiles(P)); kt++) {
              Rows &k = keys[of], &v = values[of];
              product<false>(k.natural(kt * TILE), D / 2, q.channels_of(tile), TILE, D / 2, scores, TILE, TILE, TILE);
              product<false>(v.natural(kt * TILE), D / 2, d.channels_of(tile), TILE, D / 2, slopes, TILE, TILE, TILE);
              int hidden = part ? TILE : std::min(TILE, P - kt * TILE);  // keys from here on are filling
              for (int r = 0; r < TILE; r++)
                for (int x = 0; x < TILE; x += 16) {
                  F w = exp16(fma(load(scores + r * TILE + x), all(s->scale), all(0.0f) - load(total + x)));
                  if (part && kt == tile) w = w - keep(w, std::min(16, std::max(0, r - x)), 0.0f);
                  if (r >= hidden) w = all(0.0f);
                  to_bf16(p + r * TILE + x, w);
                  to_bf16(ds + r * TILE + x, w * (load(slopes + r * TILE + x) - load(inner + x)) * all(s->scale));
                }
              for (int r = 0; r < TILE / 2; r++)
                interleave(ds + 2 * r * TILE, TILE, (bf16*)(packed + r * TILE));
              product<true>((const int32_t*)p, TILE / 2, d.pairs_of(tile), D, TILE / 2, &to_values[of][kt * TILE * D],
                            D, TILE, D);
              product<true>((const int32_t*)ds, TILE / 2, q.pairs_of(tile), D, TILE / 2, &to_keys[of][kt * TILE * D],
                            D, TILE, D);
              product<true>((const int32_t*)&k.across[kt * TILE], k.full / 2, packed, TILE, TILE / 2, to_q, TILE, D,
                            TILE);
            }
          }
          transposed(to_q, TILE, D, TILE, turned, D);
          for (int r = 0; r < std::min(TILE, T - tile * TILE); r++) {
            const float* row = turned + r * D;
            bf16* to = dqkv + (st.begin + tile * TILE + r) * (int64_t)at_out + h * D;
            for (int c = 0; c < D; c += 16) to_bf16(to + c, load(row + c));
          }
        }
      }
    }
    for (int i = 0; i < some; i++)
      for (int t = 0; t < keys[i].T; t++) {
        bf16* to = dqkv + (stretches[first + i].begin + t) * (int64_t)at_out + (s->heads + j) * D;
        for (int c = 0; c < D; c += 16) {
          to_bf16(to + c, load(&to_keys[i][t * D + c]));
          to_bf16(to + s->kv_heads * D + c, load(&to_values[i][t * D + c]));
        }
      }
  }
}
