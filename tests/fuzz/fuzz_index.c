/* fuzz_index.c - the supernode's index does as the naive model does, whatever is done to it. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/index_model.h"

struct dice {
    const uint8_t *data;
    size_t size;
    size_t at;
};

static uint32_t draw(void *context, uint32_t bound) {
    struct dice *dice = context;
    uint8_t byte = dice->at < dice->size ? dice->data[dice->at++] : 0;
    return byte % bound;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dice dice = {data, size, 0};
    struct model *model = model_new(1, draw, &dice);
    while (dice.at < dice.size) {
        model_step(model);
    }
    model_free(model);
    return 0;
}
