/* The exported suppressor in C: suppress suppressor.bin < HEARD.f32 > OUT.f32
 *
 * duplex export --format c suppressor.bin        (writes duplex_suppressor.h beside it)
 * cc -std=c99 -O3 -march=native -I. suppress.c -o suppress -lm
 *
 * HEARD.f32 has three float32 numbers a sample (front_end.py makes one); OUT.f32 has two: the voice for a voice
 * activity detector and the voice for a recogniser, 320 samples later.
 */
#include <stdio.h>

#define DUPLEX_SUPPRESSOR_IMPLEMENTATION
#include "duplex_suppressor.h"

static float weights[1 << 19]; /* floats, so that it lies where floats may */
static duplex_suppressor suppressor;

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file) return fprintf(stderr, "usage: suppress WEIGHTS < HEARD.f32 > OUT.f32\n"), 2;
    const size_t bytes = fread(weights, 1, sizeof weights, file);
    fclose(file);
    const char *wrong = duplex_suppressor_init(&suppressor, weights, bytes);
    if (wrong) return fprintf(stderr, "%s: %s\n", argv[1], wrong), 1;

    const float beta[2] = {0.6f, 0.2f};
    float heard[DUPLEX_HOP][3], said[DUPLEX_HOP][2], in[3][DUPLEX_HOP], out[2][DUPLEX_HOP];
    while (fread(heard, sizeof heard, 1, stdin) == 1) {
        for (int n = 0; n < DUPLEX_HOP; n++)
            for (int i = 0; i < 3; i++) in[i][n] = heard[n][i];
        duplex_suppressor_process(&suppressor, in[0], in[1], in[2], beta, out);
        for (int n = 0; n < DUPLEX_HOP; n++)
            for (int i = 0; i < 2; i++) said[n][i] = out[i][n];
        fwrite(said, sizeof said, 1, stdout);
    }
    return 0;
}
