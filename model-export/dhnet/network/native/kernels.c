/* Fused channels-last kernels for training on a CPU: the Volterra filter (eq. 3) and the
 * routed depth-wise convolution of the DDRE (eq. 11), forward and backward.
 *
 * Why: a grouped convolution with 1+2Q outputs per group spends most of its time moving the
 * (1+2Q)C intermediate maps through memory. Here 16 channels (one 512-bit vector) of one image
 * are filtered, multiplied and summed in registers, and the backward pass recomputes the factors.
 * All arithmetic is float32; activations may be float32 or bfloat16 (`bf` = 1).
 * Work is dealt to threads in a fixed way, so that sums, and with them runs, are repeatable.
 * C must be a multiple of 16. Maps are [N][H][W][channels] without gaps.                       */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <omp.h>

#define V 16
typedef float vf __attribute__((vector_size(64)));
typedef uint32_t vu __attribute__((vector_size(64)));
typedef uint16_t vh __attribute__((vector_size(32)));
typedef float vfu __attribute__((vector_size(64), aligned(4)));
typedef uint16_t vhu __attribute__((vector_size(32), aligned(2)));

static inline vf load(const void *base, int64_t at, int bf) {
    if (!bf) return *(const vfu *)((const float *)base + at);
    vu wide = __builtin_convertvector((vh) * (const vhu *)((const uint16_t *)base + at), vu) << 16;
    return (vf)wide;
}
static inline void store(void *base, int64_t at, int bf, vf value) {
    if (!bf) { *(vfu *)((float *)base + at) = value; return; }
    vu bits = (vu)value;                       /* round to nearest even */
    bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    *(vhu *)((uint16_t *)base + at) = __builtin_convertvector(bits, vh);
}
static vf *scratch(int64_t vectors) { return aligned_alloc(64, (size_t)vectors * 64); }

/* Copy `planes` blocks of 16 channels (at c, c+step, …) of one image into a zero-bordered scratch. */
static void fill(vf *to, const void *from, int64_t image, int H, int W, int channels, int c, int step,
                 int planes, int pad, int bf) {
    int64_t Wp = W + 2 * pad;
    memset(to, 0, (size_t)((H + 2 * pad) * Wp * planes) * 64);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int p = 0; p < planes; p++)
                to[((y + pad) * Wp + x + pad) * planes + p] =
                    load(from, image + ((int64_t)y * W + x) * channels + c + p * step, bf);
}

/* ---- Volterra, Q fixed at 4: 9 responses of 18 taps. weight: [C/16][9 taps][2][9][16], bias [C/16][9][16] ---- */
#define R 9
static inline void respond(const vf *x, int64_t Wp, const vf *w, const vf *b, vf *r0, vf *r1) {
    vf a0[R], a1[R];
    for (int o = 0; o < R; o++) a0[o] = a1[o] = b[o];
#pragma GCC unroll 9
    for (int t = 0; t < 9; t++) {
        const vf *s = x + ((t / 3) * Wp + t % 3) * 2, *k = w + t * 2 * R;
        vf p0 = s[0], q0 = s[1], p1 = s[2], q1 = s[3];
#pragma GCC unroll 9
        for (int o = 0; o < R; o++) { a0[o] += k[o] * p0; a1[o] += k[o] * p1; }
#pragma GCC unroll 9
        for (int o = 0; o < R; o++) { a0[o] += k[R + o] * q0; a1[o] += k[R + o] * q1; }
    }
    for (int o = 0; o < R; o++) { r0[o] = a0[o]; r1[o] = a1[o]; }
}
static inline vf combine(const vf *r) { return r[0] + r[1] * r[2] + r[3] * r[4] + r[5] * r[6] + r[7] * r[8]; }

void volterra_forward(const void *f, const float *weight, const float *bias, void *out, int N, int C, int H, int W, int bf) {
    int blocks = C / V; int64_t Wp = W + 2;
#pragma omp parallel
    {
        vf *x = scratch((H + 2) * Wp * 2 + 4);
#pragma omp for collapse(2) schedule(static)
        for (int n = 0; n < N; n++) for (int c = 0; c < blocks; c++) {
            fill(x, f, (int64_t)n * H * W * 2 * C, H, W, 2 * C, c * V, C, 2, 1, bf);
            const vf *w = (const vf *)weight + (int64_t)c * 18 * R, *b = (const vf *)bias + (int64_t)c * R;
            vf r0[R], r1[R];
            for (int y = 0; y < H; y++) for (int i = 0; i < W; i += 2) {
                respond(x + (y * Wp + i) * 2, Wp, w, b, r0, r1);
                int64_t at = (((int64_t)n * H + y) * W + i) * C + c * V;
                store(out, at, bf, combine(r0));
                if (i + 1 < W) store(out, at + C, bf, combine(r1));
            }
        }
        free(x);
    }
}

static inline void spread(const vf *r, vf g, vf *G) {
    G[0] = g;
    for (int q = 0; q < 4; q++) { G[1 + 2 * q] = g * r[2 + 2 * q]; G[2 + 2 * q] = g * r[1 + 2 * q]; }
}

/* gw, gb: [threads][...] of the forward layouts, zeroed by the caller, summed by the caller. */
void volterra_backward(const void *f, const float *weight, const float *bias, const void *gout, void *gf,
                       float *gw, float *gb, int N, int C, int H, int W, int bf) {
    int blocks = C / V; int64_t Wp = W + 2, Wg = W + 4;   /* 2 spare columns: pixels go in pairs */
#pragma omp parallel
    {
        vf *x = scratch((H + 2) * Wp * 2 + 4), *G = scratch((H + 2) * Wg * R);
        vf *tw = (vf *)gw + (int64_t)omp_get_thread_num() * blocks * 18 * R;
        vf *tb = (vf *)gb + (int64_t)omp_get_thread_num() * blocks * R;
        memset(G, 0, (size_t)((H + 2) * Wg * R) * 64);
#pragma omp for collapse(2) schedule(static)
        for (int n = 0; n < N; n++) for (int c = 0; c < blocks; c++) {
            fill(x, f, (int64_t)n * H * W * 2 * C, H, W, 2 * C, c * V, C, 2, 1, bf);
            const vf *w = (const vf *)weight + (int64_t)c * 18 * R, *b = (const vf *)bias + (int64_t)c * R;
            vf *cw = tw + (int64_t)c * 18 * R, *cb = tb + (int64_t)c * R;
            vf r0[R], r1[R], zero = {0};
            for (int y = 0; y < H; y++) for (int i = 0; i < W; i += 2) {
                int64_t at = (((int64_t)n * H + y) * W + i) * C + c * V;
                respond(x + (y * Wp + i) * 2, Wp, w, b, r0, r1);
                vf *g = G + ((y + 1) * Wg + i + 1) * R;
                spread(r0, load(gout, at, bf), g);
                spread(r1, i + 1 < W ? load(gout, at + C, bf) : zero, g + R);
            }
            for (int y = 0; y < H; y++) {                    /* gradient of the kernels */
                for (int t = 0; t < 9; t++) {
                    vf a[R], d[R]; vf *k = cw + t * 2 * R;
                    for (int o = 0; o < R; o++) { a[o] = k[o]; d[o] = k[R + o]; }
                    const vf *s = x + ((y + t / 3) * Wp + t % 3) * 2, *g = G + ((y + 1) * Wg + 1) * R;
                    for (int i = 0; i < W; i++, s += 2, g += R) {
#pragma GCC unroll 9
                        for (int o = 0; o < R; o++) { a[o] += g[o] * s[0]; d[o] += g[o] * s[1]; }
                    }
                    for (int o = 0; o < R; o++) { k[o] = a[o]; k[R + o] = d[o]; }
                }
                const vf *g = G + ((y + 1) * Wg + 1) * R;
                for (int i = 0; i < W; i++, g += R) for (int o = 0; o < R; o++) cb[o] += g[o];
            }
            for (int y = 0; y < H; y++) for (int i = 0; i < W; i += 2) {   /* gradient of F */
                vf a0 = zero, a1 = zero, d0 = zero, d1 = zero;
                for (int t = 0; t < 9; t++) {
                    const vf *g = G + ((y + 2 - t / 3) * Wg + i + 2 - t % 3) * R, *k = w + t * 2 * R;
#pragma GCC unroll 9
                    for (int o = 0; o < R; o++) {
                        vf p = k[o], q = k[R + o], u = g[o], v = g[R + o];
                        a0 += p * u; d0 += q * u; a1 += p * v; d1 += q * v;
                    }
                }
                int64_t at = (((int64_t)n * H + y) * W + i) * 2 * C + c * V;
                store(gf, at, bf, a0); store(gf, at + C, bf, d0);
                if (i + 1 < W) { store(gf, at + 2 * C, bf, a1); store(gf, at + 3 * C, bf, d1); }
            }
        }
        free(x); free(G);
    }
}

/* ---- depth-wise 9×9 with one kernel per image. weight: [N][C/16][81][16]; flip = 1 gives the gradient of x ---- */
#define K 9
#define T 8
void routed_forward(const void *in, const float *weight, void *out, int N, int C, int H, int W, int flip, int bf) {
    int blocks = C / V; int64_t Wp = W + 8 + T;
#pragma omp parallel
    {
        vf *x = scratch((H + 8) * Wp);
#pragma omp for collapse(2) schedule(static)
        for (int n = 0; n < N; n++) for (int c = 0; c < blocks; c++) {
            memset(x, 0, (size_t)((H + 8) * Wp) * 64);
            for (int y = 0; y < H; y++) for (int i = 0; i < W; i++)
                x[(y + 4) * Wp + i + 4] = load(in, (((int64_t)n * H + y) * W + i) * C + c * V, bf);
            const vf *w = (const vf *)weight + ((int64_t)n * blocks + c) * K * K;
            for (int y = 0; y < H; y++) for (int i = 0; i < W; i += T) {
                vf a[T];
                for (int p = 0; p < T; p++) a[p] = (vf){0};
                for (int dy = 0; dy < K; dy++) {
                    const vf *s = x + (y + dy) * Wp + i;
#pragma GCC unroll 9
                    for (int dx = 0; dx < K; dx++) {
                        vf k = flip ? w[K * K - 1 - dy * K - dx] : w[dy * K + dx];
#pragma GCC unroll 8
                        for (int p = 0; p < T; p++) a[p] += k * s[dx + p];
                    }
                }
                for (int p = 0; p < T && i + p < W; p++)
                    store(out, (((int64_t)n * H + y) * W + i + p) * C + c * V, bf, a[p]);
            }
        }
        free(x);
    }
}

void routed_weight_gradient(const void *in, const void *gout, float *gw, int N, int C, int H, int W, int bf) {
    int blocks = C / V; int64_t Wp = W + 8 + T;
#pragma omp parallel
    {
        vf *x = scratch((H + 8) * Wp), *g = scratch(W + T);
#pragma omp for collapse(2) schedule(static)
        for (int n = 0; n < N; n++) for (int c = 0; c < blocks; c++) {
            memset(x, 0, (size_t)((H + 8) * Wp) * 64);
            for (int y = 0; y < H; y++) for (int i = 0; i < W; i++)
                x[(y + 4) * Wp + i + 4] = load(in, (((int64_t)n * H + y) * W + i) * C + c * V, bf);
            vf *k = (vf *)gw + ((int64_t)n * blocks + c) * K * K;
            memset(k, 0, K * K * 64);
            memset(g, 0, (size_t)(W + T) * 64);
            for (int y = 0; y < H; y++) {
                for (int i = 0; i < W; i++) g[i] = load(gout, (((int64_t)n * H + y) * W + i) * C + c * V, bf);
                for (int dy = 0; dy < K; dy++) {
                    vf a[K];
                    for (int dx = 0; dx < K; dx++) a[dx] = k[dy * K + dx];
                    const vf *s = x + (y + dy) * Wp;
                    for (int i = 0; i < W; i++) {
                        vf u = g[i];
#pragma GCC unroll 9
                        for (int dx = 0; dx < K; dx++) a[dx] += u * s[i + dx];
                    }
                    for (int dx = 0; dx < K; dx++) k[dy * K + dx] = a[dx];
                }
            }
        }
        free(x); free(g);
    }
}
