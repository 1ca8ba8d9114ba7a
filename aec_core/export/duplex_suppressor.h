/* The echo suppressor of duplex-aec in C99, for 16 kHz and frames of 20 ms. Apache-2.0.
 *
 * In exactly one C file:   #define DUPLEX_SUPPRESSOR_IMPLEMENTATION
 * then, as anywhere else, in C++ too:  #include "duplex_suppressor.h"
 *
 * Weights come from `duplex export --format c FILE`; docs/on-device.md has the table of its bytes. Nothing is
 * allocated, nothing is global, and one thread may use one duplex_suppressor. Link with -lm.
 */
#ifndef DUPLEX_SUPPRESSOR_H
#define DUPLEX_SUPPRESSOR_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    DUPLEX_HOP = 320, /* samples of a frame; the output is one frame behind the input */
    DUPLEX_FFT = 640,
    DUPLEX_BINS = 321,
    DUPLEX_MELS = 80,
    DUPLEX_FEATURES = 240,
    DUPLEX_HIDDEN = 128,
    DUPLEX_LAYERS = 9,
    DUPLEX_TAPS = 20,
    DUPLEX_ARRAYS = 9
};

typedef struct { float re, im; } duplex_complex;

typedef struct { /* about 110 kB; make it static or allocate it */
    const float *array[DUPLEX_ARRAYS]; /* inside the weights file */
    int mel_from[DUPLEX_MELS], mel_to[DUPLEX_MELS]; /* the bins of each triangle */
    float window[DUPLEX_FFT];
    duplex_complex turn[DUPLEX_FFT];
    float past[DUPLEX_LAYERS][DUPLEX_TAPS][DUPLEX_HIDDEN]; /* projections; `newest` is the present frame's place */
    int newest;
    float heard[3][DUPLEX_HOP], tail[2][DUPLEX_HOP];
} duplex_suppressor;

/* Starts a stream. The file stays the caller's and must outlive it, at an address that floats may have.
 * Returns NULL, or what is wrong with the file. */
const char *duplex_suppressor_init(duplex_suppressor *s, const void *file, size_t bytes);

/* Takes a frame of the microphone, of what the linear stage leaves of it, and of the aligned reference; writes a
 * frame for each of two betas: 0.6 for a voice activity detector and 0.2 for a recogniser, 0 for no suppression. */
void duplex_suppressor_process(duplex_suppressor *s, const float mic[DUPLEX_HOP], const float error[DUPLEX_HOP],
                               const float ref[DUPLEX_HOP], const float beta[2], float out[2][DUPLEX_HOP]);

/* The network alone: powers of the three spectra in, masks in (0, 1) out. */
void duplex_suppressor_masks(duplex_suppressor *s, const float power[3 * DUPLEX_BINS], float near[DUPLEX_BINS],
                             float echo[DUPLEX_BINS]);

/* The memory, newest frame first, as the ONNX graph takes it. */
void duplex_suppressor_state(const duplex_suppressor *s, float out[DUPLEX_LAYERS][DUPLEX_TAPS - 1][DUPLEX_HIDDEN]);

#ifdef __cplusplus
}
#endif
#endif
#ifdef DUPLEX_SUPPRESSOR_IMPLEMENTATION
#include <math.h>
#include <string.h>

enum { DUPLEX_MEL, DUPLEX_INPUT, DUPLEX_INPUT_BIAS, DUPLEX_EXPAND, DUPLEX_EXPAND_BIAS, DUPLEX_PROJECT,
       DUPLEX_MEMORY, DUPLEX_HEADS, DUPLEX_HEADS_BIAS };

static const uint32_t duplex_sizes[DUPLEX_ARRAYS] = {
    DUPLEX_BINS * DUPLEX_MELS, DUPLEX_FEATURES * DUPLEX_HIDDEN, DUPLEX_HIDDEN,
    DUPLEX_LAYERS * DUPLEX_HIDDEN * DUPLEX_HIDDEN, DUPLEX_LAYERS * DUPLEX_HIDDEN,
    DUPLEX_LAYERS * DUPLEX_HIDDEN * DUPLEX_HIDDEN, DUPLEX_LAYERS * DUPLEX_TAPS * DUPLEX_HIDDEN,
    DUPLEX_HIDDEN * 2 * DUPLEX_BINS, 2 * DUPLEX_BINS};

static uint32_t duplex_word(const unsigned char *file, size_t at) {
    uint32_t word;
    memcpy(&word, file + at, sizeof word);
    return word;
}

static uint32_t duplex_crc32(const unsigned char *data, size_t bytes) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

const char *duplex_suppressor_init(duplex_suppressor *s, const void *file, size_t bytes) {
    const unsigned char *head = (const unsigned char *)file;
    const double pi = 3.14159265358979323846;
    memset(s, 0, sizeof *s);
    if ((uintptr_t)file % sizeof(float)) return "the file does not lie where floats may";
    if (bytes < 32 || memcmp(head, "DUPLEXSW", 8)) return "not a weights file of the suppressor";
    if (duplex_word(head, 8) != 1) return "another version of the weights file, or a big-endian machine";
    if (duplex_word(head, 12) != DUPLEX_ARRAYS || duplex_word(head, 16) != bytes) return "the file is cut off";
    if (duplex_word(head, 20) != duplex_crc32(head + 32, bytes - 32)) return "the file is damaged";
    for (int i = 0; i < DUPLEX_ARRAYS; i++) {
        const size_t entry = 32 + 48 * (size_t)i, at = duplex_word(head, entry + 24);
        const uint32_t size = duplex_word(head, entry + 28);
        if (size != duplex_sizes[i] || at % 64 || at > bytes || (bytes - at) / sizeof(float) < size)
            return "the file is of another network";
        s->array[i] = (const float *)(const void *)(head + at);
    }
    for (int mel = 0; mel < DUPLEX_MELS; mel++)
        for (int bin = 0; bin < DUPLEX_BINS; bin++)
            if (s->array[DUPLEX_MEL][bin * DUPLEX_MELS + mel] != 0.0f) {
                if (!s->mel_to[mel]) s->mel_from[mel] = bin;
                s->mel_to[mel] = bin + 1;
            }
    for (int n = 0; n < DUPLEX_FFT; n++) {
        const double angle = 2.0 * pi * n / DUPLEX_FFT;
        s->window[n] = (float)sqrt(0.5 - 0.5 * cos(angle));
        s->turn[n].re = (float)cos(angle);
        s->turn[n].im = (float)-sin(angle);
    }
    return NULL;
}

/* y += x W, W as (in, out): this order needs no reassociation to become vector code, and skips what ReLU cut off. */
static inline void duplex_product(float *restrict y, const float *restrict x, const float *restrict w, int in, int out) {
    for (int i = 0; i < in; i++) {
        const float v = x[i];
        if (v == 0.0f) continue;
        for (int o = 0; o < out; o++) y[o] += v * w[i * out + o];
    }
}

static void duplex_features(const duplex_suppressor *s, const float *power, float *features) {
    const float *mel_matrix = s->array[DUPLEX_MEL];
    for (int signal = 0; signal < 3; signal++)
        for (int mel = 0; mel < DUPLEX_MELS; mel++) {
            float sum = 0.0f;
            for (int bin = s->mel_from[mel]; bin < s->mel_to[mel]; bin++)
                sum += power[signal * DUPLEX_BINS + bin] * mel_matrix[bin * DUPLEX_MELS + mel];
            features[signal * DUPLEX_MELS + mel] = logf(sum + 1e-8f);
        }
}

static void duplex_layer(duplex_suppressor *s, int layer, float x[DUPLEX_HIDDEN]) {
    const size_t square = (size_t)layer * DUPLEX_HIDDEN * DUPLEX_HIDDEN;
    const float *memory = s->array[DUPLEX_MEMORY] + (size_t)layer * DUPLEX_TAPS * DUPLEX_HIDDEN;
    float h[DUPLEX_HIDDEN], *p = s->past[layer][s->newest];
    memcpy(h, s->array[DUPLEX_EXPAND_BIAS] + layer * DUPLEX_HIDDEN, sizeof h);
    duplex_product(h, x, s->array[DUPLEX_EXPAND] + square, DUPLEX_HIDDEN, DUPLEX_HIDDEN);
    for (int i = 0; i < DUPLEX_HIDDEN; i++) h[i] = h[i] > 0.0f ? h[i] : 0.0f;
    memset(p, 0, sizeof h);
    duplex_product(p, h, s->array[DUPLEX_PROJECT] + square, DUPLEX_HIDDEN, DUPLEX_HIDDEN);
    for (int i = 0; i < DUPLEX_HIDDEN; i++) x[i] += p[i];
    for (int age = 0; age < DUPLEX_TAPS; age++) {
        const float *then = s->past[layer][(s->newest + age) % DUPLEX_TAPS];
        for (int i = 0; i < DUPLEX_HIDDEN; i++) x[i] += memory[age * DUPLEX_HIDDEN + i] * then[i];
    }
}

void duplex_suppressor_masks(duplex_suppressor *s, const float power[3 * DUPLEX_BINS], float near[DUPLEX_BINS],
                             float echo[DUPLEX_BINS]) {
    float features[DUPLEX_FEATURES], x[DUPLEX_HIDDEN], heads[2 * DUPLEX_BINS];
    duplex_features(s, power, features);
    memcpy(x, s->array[DUPLEX_INPUT_BIAS], sizeof x);
    duplex_product(x, features, s->array[DUPLEX_INPUT], DUPLEX_FEATURES, DUPLEX_HIDDEN);
    for (int i = 0; i < DUPLEX_HIDDEN; i++) x[i] = x[i] > 0.0f ? x[i] : 0.0f;
    s->newest = (s->newest + DUPLEX_TAPS - 1) % DUPLEX_TAPS;
    for (int layer = 0; layer < DUPLEX_LAYERS; layer++) duplex_layer(s, layer, x);
    memcpy(heads, s->array[DUPLEX_HEADS_BIAS], sizeof heads);
    duplex_product(heads, x, s->array[DUPLEX_HEADS], DUPLEX_HIDDEN, 2 * DUPLEX_BINS);
    for (int bin = 0; bin < DUPLEX_BINS; bin++) {
        near[bin] = 0.5f + 0.5f * tanhf(0.5f * heads[bin]);
        echo[bin] = 0.5f + 0.5f * tanhf(0.5f * heads[DUPLEX_BINS + bin]);
    }
}

void duplex_suppressor_state(const duplex_suppressor *s, float out[DUPLEX_LAYERS][DUPLEX_TAPS - 1][DUPLEX_HIDDEN]) {
    for (int layer = 0; layer < DUPLEX_LAYERS; layer++)
        for (int age = 0; age < DUPLEX_TAPS - 1; age++)
            memcpy(out[layer][age], s->past[layer][(s->newest + age) % DUPLEX_TAPS], sizeof out[layer][age]);
}

static duplex_complex duplex_times(duplex_complex a, duplex_complex b) {
    duplex_complex c = {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    return c;
}

/* Transforms every `step`-th of the input; 640 = 5 * 2^7. */
static void duplex_fft(const duplex_complex *turn, const duplex_complex *in, duplex_complex *out, int n, int step) {
    const int radix = n % 2 ? n : 2, part = n / radix;
    for (int r = 0; r < radix; r++) {
        if (part == 1) out[r] = in[r * step];
        else duplex_fft(turn, in + r * step, out + r * part, part, step * radix);
    }
    for (int k = 0; k < part; k++) {
        if (radix == 2) {
            const duplex_complex a = out[k], b = duplex_times(out[k + part], turn[k * step]);
            out[k].re = a.re + b.re, out[k].im = a.im + b.im;
            out[k + part].re = a.re - b.re, out[k + part].im = a.im - b.im;
            continue;
        }
        duplex_complex t[5], sum; /* the five that are left are a transform of their own */
        for (int r = 0; r < 5; r++) t[r] = out[r];
        for (int q = 0; q < 5; q++) {
            sum = t[0];
            for (int r = 1; r < 5; r++) {
                const duplex_complex v = duplex_times(t[r], turn[q * r % 5 * step]);
                sum.re += v.re, sum.im += v.im;
            }
            out[q] = sum;
        }
    }
}

/* Spectra of two real signals by one transform. */
static void duplex_analyse(duplex_suppressor *s, int first, const float *a, const float *b, duplex_complex *sa,
                           duplex_complex *sb) {
    duplex_complex z[DUPLEX_FFT], spectrum[DUPLEX_FFT];
    for (int n = 0; n < DUPLEX_HOP; n++) {
        z[n].re = s->heard[first][n] * s->window[n];
        z[n].im = b ? s->heard[first + 1][n] * s->window[n] : 0.0f;
        z[n + DUPLEX_HOP].re = a[n] * s->window[n + DUPLEX_HOP];
        z[n + DUPLEX_HOP].im = b ? b[n] * s->window[n + DUPLEX_HOP] : 0.0f;
    }
    memcpy(s->heard[first], a, sizeof s->heard[first]);
    if (b) memcpy(s->heard[first + 1], b, sizeof s->heard[first + 1]);
    duplex_fft(s->turn, z, spectrum, DUPLEX_FFT, 1);
    for (int k = 0; k < DUPLEX_BINS; k++) {
        const duplex_complex p = spectrum[k], q = spectrum[(DUPLEX_FFT - k) % DUPLEX_FFT];
        sa[k].re = 0.5f * (p.re + q.re), sa[k].im = 0.5f * (p.im - q.im);
        if (b) sb[k].re = 0.5f * (p.im + q.im), sb[k].im = 0.5f * (q.re - p.re);
    }
}

/* Both outputs by one transform: one is its real part, one its imaginary part. */
static void duplex_synthesise(duplex_suppressor *s, const duplex_complex *error, float gain[2][DUPLEX_BINS],
                              float out[2][DUPLEX_HOP]) {
    duplex_complex z[DUPLEX_FFT], wave[DUPLEX_FFT];
    for (int k = 0; k < DUPLEX_BINS; k++) { /* conjugated before and after: the inverse is the transform then */
        const duplex_complex e = error[k];
        const float a = gain[0][k], b = gain[1][k];
        const float im = k % DUPLEX_HOP ? e.im : 0.0f; /* of a real signal's first and last bin there is none */
        z[(DUPLEX_FFT - k) % DUPLEX_FFT].re = a * e.re + b * im;
        z[(DUPLEX_FFT - k) % DUPLEX_FFT].im = a * im - b * e.re;
        z[k].re = a * e.re - b * im;
        z[k].im = -(a * im + b * e.re);
    }
    duplex_fft(s->turn, z, wave, DUPLEX_FFT, 1);
    for (int n = 0; n < DUPLEX_HOP; n++)
        for (int task = 0; task < 2; task++) {
            const duplex_complex then = wave[n], next = wave[n + DUPLEX_HOP];
            const float now = task ? -then.im : then.re, later = task ? -next.im : next.re;
            out[task][n] = s->tail[task][n] + now / DUPLEX_FFT * s->window[n];
            s->tail[task][n] = later / DUPLEX_FFT * s->window[n + DUPLEX_HOP];
        }
}

void duplex_suppressor_process(duplex_suppressor *s, const float mic[DUPLEX_HOP], const float error[DUPLEX_HOP],
                               const float ref[DUPLEX_HOP], const float beta[2], float out[2][DUPLEX_HOP]) {
    duplex_complex spectra[3][DUPLEX_BINS];
    float power[3 * DUPLEX_BINS], near[DUPLEX_BINS], echo[DUPLEX_BINS], gain[2][DUPLEX_BINS];
    duplex_analyse(s, 0, mic, error, spectra[0], spectra[1]);
    duplex_analyse(s, 2, ref, NULL, spectra[2], NULL);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < DUPLEX_BINS; k++)
            power[i * DUPLEX_BINS + k] = spectra[i][k].re * spectra[i][k].re + spectra[i][k].im * spectra[i][k].im;
    duplex_suppressor_masks(s, power, near, echo);
    for (int k = 0; k < DUPLEX_BINS; k++) {
        const float ratio = near[k] / (near[k] + echo[k] + 1e-6f), level = logf(ratio > 1e-5f ? ratio : 1e-5f);
        for (int task = 0; task < 2; task++) gain[task][k] = expf(2.0f * beta[task] * level);
    }
    duplex_synthesise(s, spectra[1], gain, out);
}
#endif
