// Copyright (c) 2026, The isaaclab_offpolicy Developers.
// SPDX-License-Identifier: BSD-3-Clause

// Multi-layer perceptrons forward and backward, and AdamW, in as few passes over memory as possible.
//
// Arrays are contiguous. C networks of equal shape are evaluated at once; B is the batch, H the width of a layer; a
// "row" is one of the C * B samples. A block of rows goes through all layers while it is in the cache.

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

enum Activation { ELU = 0, RELU = 1, TANH = 2, IDENTITY = 3 };

// exp(x) to about 2 ulp, written so that a loop over it is vectorised: x = n log 2 + r, and the polynomial of Cephes'
// expf for exp(r)
inline float exp_(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  float n = std::rint(x * 1.44269504f);
  float r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  return p * scale;
}

template <int A>
inline float activate(float x) {
  if (A == ELU) return x > 0.0f ? x : exp_(x) - 1.0f;
  if (A == RELU) return x < 0.0f ? 0.0f : x;  // NaN stays NaN
  if (A == TANH) return 1.0f - 2.0f / (exp_(2.0f * x) + 1.0f);
  return x;
}

// the derivative, from the activation's output
template <int A>
inline float slope(float y) {
  if (A == ELU) return y > 0.0f ? 1.0f : y + 1.0f;
  if (A == RELU) return y > 0.0f ? 1.0f : 0.0f;
  if (A == TANH) return 1.0f - y * y;
  return 1.0f;
}

// Rows go through the kernels four at a time: what belongs to a column is loaded once for all four, and four chains of
// sums run beside each other, where one would wait for itself at every addition.
constexpr int64_t ROWS = 4;

// A layer's parameters of one network, each [H]; without layer normalisation the last two are null.
struct Parameters {
  const float *bias, *norm_weight, *norm_bias;
};

// Sums over the batch that are the gradients of these, each [H].
struct Sums {
  float *bias, *norm_weight, *norm_bias;
};

// Room for four rows that stand in where there are less, and for four rows of intermediate results.
inline int64_t scratch_size(int64_t H) { return 2 * ROWS * H; }

// Pointers to four rows from row i on; those behind the end are rows of the scratch.
template <typename T>
inline void four_rows(T* rows[ROWS], T* base, int64_t i, int64_t n, int64_t H, float* scratch) {
  for (int64_t r = 0; r < ROWS; ++r) rows[r] = i + r < n ? base + (i + r) * H : scratch + r * H;
}

// n rows of one network: out = activation(norm_weight * normalised(z + bias) + norm_bias)
template <int A>
void forward_rows(const float* z, Parameters p, float* out, float* mean, float* rstd, int64_t n, int64_t H, float eps,
                  float* scratch) {
  const float *b = p.bias, *g = p.norm_weight, *s = p.norm_bias;
  if (n % ROWS) std::memset(scratch, 0, sizeof(float) * ROWS * H);
  for (int64_t i = 0; i < n; i += ROWS) {
    const int64_t valid = n - i < ROWS ? n - i : ROWS;
    const float* zs[ROWS];
    float* ys[ROWS];
    four_rows(zs, z, i, n, H, scratch);
    four_rows(ys, out, i, n, H, scratch);
    float m[ROWS], rs[ROWS];
    if (g != nullptr) {
      const float *z0 = zs[0], *z1 = zs[1], *z2 = zs[2], *z3 = zs[3];
      float a0 = 0.0f, a1 = 0.0f, a2 = 0.0f, a3 = 0.0f;
#pragma omp simd reduction(+ : a0, a1, a2, a3)
      for (int64_t j = 0; j < H; ++j) {
        a0 += z0[j] + b[j];
        a1 += z1[j] + b[j];
        a2 += z2[j] + b[j];
        a3 += z3[j] + b[j];
      }
      const float m0 = a0 / H, m1 = a1 / H, m2 = a2 / H, m3 = a3 / H;
      a0 = a1 = a2 = a3 = 0.0f;
#pragma omp simd reduction(+ : a0, a1, a2, a3)
      for (int64_t j = 0; j < H; ++j) {
        const float d0 = z0[j] + b[j] - m0, d1 = z1[j] + b[j] - m1, d2 = z2[j] + b[j] - m2, d3 = z3[j] + b[j] - m3;
        a0 += d0 * d0;
        a1 += d1 * d1;
        a2 += d2 * d2;
        a3 += d3 * d3;
      }
      const float squares[ROWS] = {a0, a1, a2, a3}, means[ROWS] = {m0, m1, m2, m3};
      for (int64_t r = 0; r < ROWS; ++r) {
        m[r] = means[r];
        rs[r] = 1.0f / std::sqrt(squares[r] / H + eps);
      }
      for (int64_t r = 0; r < valid; ++r) {
        mean[i + r] = m[r];
        rstd[i + r] = rs[r];
      }
    }
    for (int64_t r = 0; r < valid; ++r) {
      const float* zr = zs[r];
      float* yr = ys[r];
      if (g != nullptr) {
        const float mr = m[r], rr = rs[r];
#pragma omp simd
        for (int64_t j = 0; j < H; ++j) yr[j] = activate<A>((zr[j] + b[j] - mr) * rr * g[j] + s[j]);
      } else {
#pragma omp simd
        for (int64_t j = 0; j < H; ++j) yr[j] = activate<A>(zr[j] + b[j]);
      }
    }
  }
}

// The backward pass of n rows of one network: the gradient with respect to z, in place of z, out of that with respect
// to out. With PARAMETERS, adds to the sums.
template <int A, bool PARAMETERS>
void backward_rows(const float* grad, const float* out, float* z, Parameters p, const float* mean, const float* rstd,
                   Sums sums, int64_t n, int64_t H, float* scratch) {
  const float *b = p.bias, *g = p.norm_weight;
  float *sum_bias = sums.bias, *sum_norm_weight = sums.norm_weight, *sum_norm_bias = sums.norm_bias;
  float *t0 = scratch + ROWS * H, *t1 = t0 + H, *t2 = t1 + H, *t3 = t2 + H;
  if (n % ROWS) std::memset(scratch, 0, sizeof(float) * ROWS * H);
  for (int64_t i = 0; i < n; i += ROWS) {
    const int64_t valid = n - i < ROWS ? n - i : ROWS;
    const float *ys[ROWS], *gs[ROWS];
    float* zs[ROWS];
    four_rows(zs, z, i, n, H, scratch);
    four_rows(ys, out, i, n, H, scratch);
    four_rows(gs, grad, i, n, H, scratch);
    // a row that stands in has no gradient: its factors and its sums are zero
    float m[ROWS] = {}, rs[ROWS] = {}, live[ROWS] = {};
    for (int64_t r = 0; r < valid; ++r) {
      if (g != nullptr) {
        m[r] = mean[i + r];
        rs[r] = rstd[i + r];
      }
      live[r] = 1.0f;
    }
    float *z0 = zs[0], *z1 = zs[1], *z2 = zs[2], *z3 = zs[3];
    {
      const float *y0 = ys[0], *y1 = ys[1], *y2 = ys[2], *y3 = ys[3];
      const float *g0 = gs[0], *g1 = gs[1], *g2 = gs[2], *g3 = gs[3];
      const float l0 = live[0], l1 = live[1], l2 = live[2], l3 = live[3];
#pragma omp simd
      for (int64_t j = 0; j < H; ++j) {
        t0[j] = l0 * g0[j] * slope<A>(y0[j]);
        t1[j] = l1 * g1[j] * slope<A>(y1[j]);
        t2[j] = l2 * g2[j] * slope<A>(y2[j]);
        t3[j] = l3 * g3[j] * slope<A>(y3[j]);
      }
    }
    if (g == nullptr) {
#pragma omp simd
      for (int64_t j = 0; j < H; ++j) {
        if (PARAMETERS) sum_bias[j] += t0[j] + t1[j] + t2[j] + t3[j];
        z0[j] = t0[j];
        z1[j] = t1[j];
        z2[j] = t2[j];
        z3[j] = t3[j];
      }
      continue;
    }
    const float m0 = m[0], m1 = m[1], m2 = m[2], m3 = m[3];
    const float r0 = rs[0], r1 = rs[1], r2 = rs[2], r3 = rs[3];
    float f0 = 0.0f, f1 = 0.0f, f2 = 0.0f, f3 = 0.0f, s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;
#pragma omp simd reduction(+ : f0, f1, f2, f3, s0, s1, s2, s3)
    for (int64_t j = 0; j < H; ++j) {
      const float x0 = (z0[j] + b[j] - m0) * r0, x1 = (z1[j] + b[j] - m1) * r1;
      const float x2 = (z2[j] + b[j] - m2) * r2, x3 = (z3[j] + b[j] - m3) * r3;
      const float u0 = t0[j], u1 = t1[j], u2 = t2[j], u3 = t3[j];
      if (PARAMETERS) {
        sum_norm_bias[j] += u0 + u1 + u2 + u3;
        sum_norm_weight[j] += u0 * x0 + u1 * x1 + u2 * x2 + u3 * x3;
      }
      f0 += u0 * g[j];
      f1 += u1 * g[j];
      f2 += u2 * g[j];
      f3 += u3 * g[j];
      s0 += u0 * g[j] * x0;
      s1 += u1 * g[j] * x1;
      s2 += u2 * g[j] * x2;
      s3 += u3 * g[j] * x3;
    }
    f0 /= H, f1 /= H, f2 /= H, f3 /= H;
    s0 /= H, s1 /= H, s2 /= H, s3 /= H;
#pragma omp simd
    for (int64_t j = 0; j < H; ++j) {
      const float x0 = (z0[j] + b[j] - m0) * r0, x1 = (z1[j] + b[j] - m1) * r1;
      const float x2 = (z2[j] + b[j] - m2) * r2, x3 = (z3[j] + b[j] - m3) * r3;
      const float d0 = r0 * (t0[j] * g[j] - f0 - x0 * s0), d1 = r1 * (t1[j] * g[j] - f1 - x1 * s1);
      const float d2 = r2 * (t2[j] * g[j] - f2 - x2 * s2), d3 = r3 * (t3[j] * g[j] - f3 - x3 * s3);
      if (PARAMETERS) sum_bias[j] += d0 + d1 + d2 + d3;
      z0[j] = d0;
      z1[j] = d1;
      z2[j] = d2;
      z3[j] = d3;
    }
  }
}

// The kernels for an activation that is known at run time.
auto forward_of(int64_t activation) {
  switch (activation) {
    case RELU:
      return forward_rows<RELU>;
    case TANH:
      return forward_rows<TANH>;
    case IDENTITY:
      return forward_rows<IDENTITY>;
    default:
      return forward_rows<ELU>;
  }
}

template <bool PARAMETERS>
auto backward_of(int64_t activation) {
  switch (activation) {
    case RELU:
      return backward_rows<RELU, PARAMETERS>;
    case TANH:
      return backward_rows<TANH, PARAMETERS>;
    case IDENTITY:
      return backward_rows<IDENTITY, PARAMETERS>;
    default:
      return backward_rows<ELU, PARAMETERS>;
  }
}

// Fortran's sgemm: matrices by columns, so that a row of ours is a column of its.
using Sgemm = void (*)(const char*, const char*, const int*, const int*, const int*, const float*, const float*,
                       const int*, const float*, const int*, const float*, float*, const int*);

// c [rows, columns] = a b, all by rows; a is [rows, inner] (or, transposed, [inner, rows]), b is [inner, columns] (or
// [columns, inner]); with the distance of their stored rows. Products with a single column, as those of a Q-function's
// last layer, are done here: MKL is slow at them.
void multiply(Sgemm gemm, bool a_transposed, bool b_transposed, int64_t rows, int64_t columns, int64_t inner,
              const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c, int64_t c_stride) {
  if (columns == 1 && !a_transposed && (b_transposed || b_stride == 1)) {  // dot products
    for (int64_t i = 0; i < rows; ++i) {
      const float* row = a + i * a_stride;
      float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
      for (int64_t k = 0; k < inner; ++k) sum += row[k] * b[k];
      c[i * c_stride] = sum;
    }
  } else if (columns == 1 && a_transposed && b_stride == 1 && c_stride == 1) {  // a sum of rows
    std::fill(c, c + rows, 0.0f);
    for (int64_t k = 0; k < inner; ++k) {
      const float factor = b[k];
      const float* row = a + k * a_stride;
#pragma omp simd
      for (int64_t i = 0; i < rows; ++i) c[i] += factor * row[i];
    }
  } else if (inner == 1 && !a_transposed && (b_stride == 1 || !b_transposed)) {  // an outer product
    for (int64_t i = 0; i < rows; ++i) {
      const float factor = a[i * a_stride];
#pragma omp simd
      for (int64_t j = 0; j < columns; ++j) c[i * c_stride + j] = factor * b[j];
    }
  } else {
    const int m = columns, n = rows, k = inner, lda = b_stride, ldb = a_stride, ldc = c_stride;
    const float one = 1.0f, zero = 0.0f;
    gemm(b_transposed ? "T" : "N", a_transposed ? "T" : "N", &m, &n, &k, &one, b, &lda, a, &ldb, &zero, c, &ldc);
  }
}

}  // namespace

extern "C" {

// A layer of C networks, eight bytes a field as mlp.py fills them in: weights [C, inputs, outputs], or transposed
// [outputs, inputs] of one network, and gradients of the same shapes; z and out [C, B, outputs], mean and rstd [C, B].
struct Layer {
  int64_t inputs, outputs, transposed, activation;
  const float *weight, *bias, *norm_weight, *norm_bias;
  float *z, *out, *mean, *rstd;
  float *weight_grad, *bias_grad, *norm_weight_grad, *norm_bias_grad;
};
static_assert(sizeof(Layer) == 16 * 8, "as mlp.py fills it in");

// C networks of layers one after the other, evaluated on a batch; threads share the blocks of all networks.
struct Network {
  int64_t layers, networks, batch, block;
  const Layer* layer;

  int64_t blocks() const { return (batch + block - 1) / block; }
  int64_t widest() const {
    int64_t result = 0;
    for (int64_t l = 0; l < layers; ++l) result = std::max(result, layer[l].outputs);
    return result;
  }
  int64_t width() const {
    int64_t result = 0;
    for (int64_t l = 0; l < layers; ++l) result += layer[l].outputs;
    return result;
  }
  Parameters parameters(int64_t l, int64_t c) const {
    const int64_t i = c * layer[l].outputs;
    const float *weight = layer[l].norm_weight, *bias = layer[l].norm_bias;
    return {layer[l].bias + i, weight ? weight + i : nullptr, bias ? bias + i : nullptr};
  }
};

// A thread's part of the workspace: the rows' scratch, a block of inputs, and a block of two layers, alternately.
struct Room {
  float *scratch, *inputs, *hidden[2];

  static int64_t size(const Network& s) {
    return scratch_size(s.widest()) + s.block * (s.layer[0].inputs + 2 * s.widest());
  }
  Room(const Network& s, float* workspace) {
    scratch = workspace + omp_get_thread_num() * size(s);
    inputs = scratch + scratch_size(s.widest());
    hidden[0] = inputs + s.block * s.layer[0].inputs;
    hidden[1] = hidden[0] + s.block * s.widest();
  }
};

// Numbers that mlp_forward (without parameters) and mlp_backward need in their workspace.
int64_t mlp_workspace(const Layer* layer, int64_t layers, int64_t networks, int64_t batch, int64_t block,
                      int parameters, int threads) {
  const Network s{layers, networks, batch, block, layer};
  return threads * Room::size(s) + (parameters ? networks * s.blocks() * 3 * s.width() : 0);
}

// Evaluates inputs that are two arrays side by side, [B, columns] and the rest, or one alone (more is null). The last
// layer's outputs are in its out; those of the others and z only with keep, and two arrays then in x [B, inputs].
void mlp_forward(Sgemm gemm, const Layer* layer, int64_t layers, int64_t networks, int64_t batch, int64_t block,
                 const float* first, int64_t columns, const float* more, float* x, int keep, float eps,
                 float* workspace, int threads) {
  const Network s{layers, networks, batch, block, layer};
  const int64_t B = batch, blocks = s.blocks();
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t task = 0; task < networks * blocks; ++task) {
    const Room room(s, workspace);
    const int64_t c = task / blocks, begin = task % blocks * block, row = c * B + begin;
    const int64_t n = std::min(block, B - begin);
    const float* input = first + begin * columns;
    if (more != nullptr) {
      const int64_t inputs = layer[0].inputs, rest = inputs - columns;
      for (int64_t i = 0; i < n; ++i) {
        std::memcpy(room.inputs + i * inputs, input + i * columns, sizeof(float) * columns);
        std::memcpy(room.inputs + i * inputs + columns, more + (begin + i) * rest, sizeof(float) * rest);
      }
      if (keep && c == 0) std::memcpy(x + begin * inputs, room.inputs, sizeof(float) * n * inputs);
      input = room.inputs;
    }
    for (int64_t l = 0; l < layers; ++l) {
      const int64_t I = layer[l].inputs, H = layer[l].outputs;
      float* out = keep || l == layers - 1 ? layer[l].out + row * H : room.hidden[l % 2];
      float* z = keep ? layer[l].z + row * H : out;
      const bool t = layer[l].transposed;
      multiply(gemm, false, t, n, H, I, input, I, layer[l].weight + c * I * H, t ? I : H, z, H);
      forward_of(layer[l].activation)(z, s.parameters(l, c), out, layer[l].mean + row, layer[l].rstd + row, n, H, eps,
                                      room.scratch);
      input = out;
    }
  }
}

// Backward pass of mlp_forward with keep, from the gradient with respect to the last layer's outputs [C, B, O]: with
// parameters the gradients of all of them, and with input_grad [C, B, inputs - first] that of the inputs from one on.
// Sums over the batch are made block by block and added in their order: which thread did what makes no difference.
void mlp_backward(Sgemm gemm, const Layer* layer, int64_t layers, int64_t networks, int64_t batch, int64_t block,
                  const float* x, const float* grad, int parameters, float* input_grad, int64_t first,
                  float* workspace, int threads) {
  const Network s{layers, networks, batch, block, layer};
  const int64_t B = batch, blocks = s.blocks(), width = s.width();
  float* parts = workspace + threads * Room::size(s);
  // gradients of weights in pieces that keep all threads busy: rows of the stored gradients, [begin, end)
  struct Piece {
    int64_t network, layer, begin, end;
    double work;
  };
  std::vector<Piece> pieces;
  double work = 0.0;
  for (int64_t l = 0; l < layers; ++l) work += static_cast<double>(networks) * layer[l].inputs * layer[l].outputs;
  for (int64_t l = 0; parameters && l < layers; ++l) {
    const double one = static_cast<double>(layer[l].inputs) * layer[l].outputs;
    const int64_t rows = layer[l].transposed ? layer[l].outputs : layer[l].inputs;
    const int64_t count = std::min<int64_t>(rows, std::ceil(one / (work / threads)));
    for (int64_t c = 0; c < networks; ++c) {
      for (int64_t k = 0; k < count; ++k) {
        pieces.push_back({c, l, rows * k / count, rows * (k + 1) / count, one / count});
      }
    }
  }
  // the largest first
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.work > b.work; });
  const int64_t count = pieces.size();
#pragma omp parallel num_threads(threads)
  {
    const Room room(s, workspace);
#pragma omp for schedule(static)
    for (int64_t task = 0; task < networks * blocks; ++task) {
      const int64_t c = task / blocks, begin = task % blocks * block, row = c * B + begin;
      const int64_t n = std::min(block, B - begin);
      float* part = parts + task * 3 * width;
      if (parameters) std::memset(part, 0, sizeof(float) * 3 * width);
      for (int64_t l = layers - 1; l >= 0; --l) {
        const int64_t I = layer[l].inputs, H = layer[l].outputs;
        float* z = layer[l].z + row * H;
        const auto function = parameters ? backward_of<true>(layer[l].activation) : backward_of<false>(layer[l].activation);
        function(l == layers - 1 ? grad + row * H : room.hidden[l % 2], layer[l].out + row * H, z, s.parameters(l, c),
                 layer[l].mean + row, layer[l].rstd + row, Sums{part, part + H, part + 2 * H}, n, H, room.scratch);
        part += 3 * H;
        const int64_t skip = l ? 0 : first, below_columns = I - skip;
        float* below = input_grad ? input_grad + row * below_columns : nullptr;
        if (l) below = room.hidden[(l - 1) % 2];
        if (!below) continue;
        // the weights from an input on: rows of [inputs, outputs], columns of [outputs, inputs]
        const bool t = layer[l].transposed;
        const float* weight = layer[l].weight + c * I * H + (t ? skip : skip * H);
        multiply(gemm, false, !t, n, below_columns, H, z, H, weight, t ? I : H, below, below_columns);
      }
    }
#pragma omp for schedule(dynamic, 1) nowait
    for (int64_t k = 0; k < count; ++k) {
      const Piece& piece = pieces[k];
      const int64_t c = piece.network, rows = piece.end - piece.begin;
      const Layer& of = layer[piece.layer];
      const int64_t I = of.inputs, H = of.outputs;
      const float* input = piece.layer ? layer[piece.layer - 1].out + c * B * I : x;
      const float* z = of.z + c * B * H;
      float* result = of.weight_grad + c * I * H + piece.begin * (of.transposed ? I : H);
      if (of.transposed) {
        multiply(gemm, true, false, rows, I, B, z + piece.begin, H, input, I, result, I);
      } else {
        multiply(gemm, true, false, rows, H, B, input + piece.begin, I, z, H, result, H);
      }
    }
    if (parameters) {
#pragma omp for schedule(static)
      for (int64_t c = 0; c < networks; ++c) {
        const float* part = parts + c * blocks * 3 * width;
        for (int64_t l = layers - 1; l >= 0; --l) {
          const int64_t H = layer[l].outputs;
          float* targets[3] = {layer[l].bias_grad, layer[l].norm_weight_grad, layer[l].norm_bias_grad};
          for (int64_t k = 0; k < 3; ++k) {
            float* sum = targets[k];
            if (sum == nullptr) continue;
            sum += c * H;
            std::fill(sum, sum + H, 0.0f);
            for (int64_t b = 0; b < blocks; ++b) {
              const float* more = part + k * H + b * 3 * width;
#pragma omp simd
              for (int64_t j = 0; j < H; ++j) sum[j] += more[j];
            }
          }
          part += 3 * H;
        }
      }
    }
  }
}

// An array of parameters, eight bytes a field as adamw.py fills them in; target may be null.
struct Array {
  int64_t size;
  float* weight;
  const float* grad;
  float *exp_avg, *exp_avg_sq, *target, *step;
};
static_assert(sizeof(Array) == 7 * 8, "as adamw.py fills it in");

// AdamW (Loshchilov and Hutter 2019) over several arrays, and the step of the targets towards the new weights. The
// numbers of steps are counted up, and are the same for all arrays.
void adamw(const Array* arrays, int64_t count, double beta1_, double beta2_, double rate, float eps, float decay,
           float tau, int threads) {
  for (int64_t a = 0; a < count; ++a) *arrays[a].step += 1.0f;
  const double t = *arrays[0].step;
  const float beta1 = beta1_, beta2 = beta2_, step_size = rate / (1.0 - std::pow(beta1_, t));
  const float root_correction = 1.0 / std::sqrt(1.0 - std::pow(beta2_, t));
  // blocks, so that what one loop leaves in the cache is there for the next
  const int64_t block = 2048;
#pragma omp parallel num_threads(threads)
  for (int64_t a = 0; a < count; ++a) {
    float *w = arrays[a].weight, *m = arrays[a].exp_avg, *v = arrays[a].exp_avg_sq, *t = arrays[a].target;
    const float* g = arrays[a].grad;
    const int64_t size = arrays[a].size;
#pragma omp for schedule(static) nowait
    for (int64_t begin = 0; begin < size; begin += block) {
      const int64_t end = std::min(begin + block, size);
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) {
        const float mi = m[i] + (1.0f - beta1) * (g[i] - m[i]);
        const float vi = beta2 * v[i] + (1.0f - beta2) * g[i] * g[i];
        m[i] = mi;
        v[i] = vi;
        w[i] = w[i] - decay * w[i] - step_size * mi / (std::sqrt(vi) * root_correction + eps);
      }
      if (t != nullptr) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) t[i] = t[i] + tau * (w[i] - t[i]);
      }
    }
  }
}

}  // extern "C"
