/* Runs an exported graph with nothing but MXNet's C library.
 *
 *   predict PREFIX N SIZE INPUT OUTPUT
 *
 * PREFIX   PREFIX-symbol.json and PREFIX-0000.params are loaded
 * N SIZE   the input is N images of 3 x SIZE x SIZE
 * INPUT    float32, N x 3 x SIZE x SIZE, RGB, 0..255
 * OUTPUT   the outputs, float32, one behind the other; their shapes are printed
 *
 * M=$(python -c 'import mxnet, os; print(os.path.dirname(mxnet.__file__))')
 * cc -O2 -I$M/include predict.c -o predict -L$M -lmxnet -Wl,-rpath,$M
 */
#include <stdbool.h>
#include <stdint.h>
#include <mxnet/c_predict_api.h>
#include "files.h"

#define CPU 1

/* From c_api.h, which C cannot read without more headers. A program that ends without it may abort or hang. */
int MXNotifyShutdown(void);

static void check(int failed) {
  if (failed) {
    fprintf(stderr, "predict: %s\n", MXGetLastError());
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: predict PREFIX N SIZE INPUT OUTPUT\n");
    return 2;
  }
  const uint32_t images = atoi(argv[2]), side = atoi(argv[3]);
  const uint32_t shape[] = {images, 3, side, side}, bounds[] = {0, 4};
  const char *inputs[] = {"data"};
  const uint32_t values = images * 3 * side * side;
  long symbol_size, params_size, data_size;
  char *symbol = read_all(argv[1], "-symbol.json", &symbol_size);
  char *params = read_all(argv[1], "-0000.params", &params_size);
  char *data = read_all(argv[4], "", &data_size);
  if (data_size != (long)(values * sizeof(float))) {
    fprintf(stderr, "%s: holds %ld bytes, not %lu\n", argv[4], data_size, values * sizeof(float));
    return 1;
  }

  PredictorHandle predictor;
  check(MXPredCreate(symbol, params, (int)params_size, CPU, 0, 1, inputs, bounds, shape, &predictor));
  check(MXPredSetInput(predictor, "data", (const float *)data, values));
  check(MXPredForward(predictor));

  FILE *file = open_file(argv[5], "wb");
  for (uint32_t output = 0; output < 2; ++output) {
    uint32_t *sides, axes, size = 1;
    check(MXPredGetOutputShape(predictor, output, &sides, &axes));
    for (uint32_t axis = 0; axis < axes; ++axis) {
      printf("%u%c", sides[axis], axis + 1 < axes ? ' ' : '\n');
      size *= sides[axis];
    }
    float *result = malloc(size * sizeof(float));
    check(MXPredGetOutput(predictor, output, result, size));
    fwrite(result, sizeof(float), size, file);
    free(result);
  }
  fclose(file);
  check(MXPredFree(predictor));
  check(MXNotifyShutdown());
  free(symbol);
  free(params);
  free(data);
  return 0;
}
