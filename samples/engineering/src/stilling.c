/* Stilling: the mean of the last 40 samples, without the four largest and the four smallest.
 *
 * Runs once a second in the gauge's head. No floating point, no allocation. */
#include <stdint.h>
#include <string.h>

#define SAMPLES 40
#define CUT 4

struct stilling {
    int32_t samples[SAMPLES];
    uint8_t next;
    uint8_t filled;
};

void stilling_reset(struct stilling *s)
{
    memset(s, 0, sizeof *s);
}

void stilling_add(struct stilling *s, int32_t level)
{
    s->samples[s->next] = level;
    s->next = (uint8_t)((s->next + 1) % SAMPLES);
    if (s->filled < SAMPLES)
        s->filled++;
}

static void sort(int32_t *values, int count)
{
    for (int i = 1; i < count; i++) {
        int32_t value = values[i];
        int j = i - 1;
        while (j >= 0 && values[j] > value) {
            values[j + 1] = values[j];
            j--;
        }
        values[j + 1] = value;
    }
}

/* Returns 0 and leaves *level alone until the window is full. */
int stilling_level(const struct stilling *s, int32_t *level)
{
    int32_t sorted[SAMPLES];
    int64_t sum = 0;

    if (s->filled < SAMPLES)
        return 0;
    memcpy(sorted, s->samples, sizeof sorted);
    sort(sorted, SAMPLES);
    for (int i = CUT; i < SAMPLES - CUT; i++)
        sum += sorted[i];
    *level = (int32_t)(sum / (SAMPLES - 2 * CUT));
    return 1;
}
