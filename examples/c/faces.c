/* Finds the faces in a photo with nothing but MXNet's C library, which reads the photo, too.
 *
 *   faces PREFIX PHOTO [SCORE]
 *
 * PREFIX   PREFIX-symbol.json and PREFIX-0000.params, an exported model as a whole
 * PHOTO    JPEG, PNG or what else MXNet's OpenCV reads; taken as it is stored, not turned as EXIF says
 * SCORE    faces of a lower score are left out (0.5)
 *
 * A line a face, the most certain first: its score, its box x1 y1 x2 y2, and its five landmarks x y, all in
 * pixels of the photo.
 *
 * M=$(python -c 'import mxnet, os; print(os.path.dirname(mxnet.__file__))')
 * cc -O2 -I$M/include faces.c -o faces -L$M -lmxnet -Wl,-rpath,$M -lm
 */
#include <math.h>
#include <mxnet/c_api.h>
#include <mxnet/c_predict_api.h>
#include <nnvm/c_api.h>
#include "files.h"

#define CPU 1
#define SIDE 300
#define ROW 15
#define OPTION 32

static void check(int failed) {
  if (failed) {
    /* What follows its first line is the library's stack trace. */
    const char *message = MXGetLastError();
    fprintf(stderr, "faces: %.*s\n", (int)strcspn(message, "\n"), message);
    exit(1);
  }
}

/* The result of an operator on one array or none, which is freed. */
static NDArrayHandle apply(const char *name, NDArrayHandle input, int options, const char **keys,
                           const char **values) {
  OpHandle op;
  int results = 0;
  NDArrayHandle *result = NULL;
  check(NNGetOpHandle(name, &op));
  check(MXImperativeInvoke(op, input != NULL, &input, &results, &result, options, keys, values));
  NDArrayHandle output = *result;
  if (input) check(MXNDArrayFree(input));
  return output;
}

/* The photo as the network takes it, 3 x SIDE x SIDE: shrunk or enlarged, black at the right or bottom.
 * Divide by what is returned to come back to the photo. */
static float letterbox(const char *path, float *data) {
  const char *reading[] = {"filename", "flag", "to_rgb"}, *how[] = {path, "1", "1"};
  NDArrayHandle image = apply("_cvimread", NULL, 3, reading, how);
  const uint32_t *shape;
  uint32_t axes;
  check(MXNDArrayGetShape(image, &axes, &shape));
  const float scale = (float)SIDE / (shape[0] > shape[1] ? shape[0] : shape[1]);
  const int height = fmax(1, round(shape[0] * scale)), width = fmax(1, round(shape[1] * scale));

  char rows[OPTION], columns[OPTION], below[OPTION], right[OPTION];
  snprintf(rows, OPTION, "%d", height);
  snprintf(columns, OPTION, "%d", width);
  snprintf(below, OPTION, "%d", SIDE - height);
  snprintf(right, OPTION, "%d", SIDE - width);
  /* 3 is OpenCV's INTER_AREA. */
  const char *sizes[] = {"h", "w", "interp"}, *to[] = {rows, columns, "3"};
  image = apply("_cvimresize", image, 3, sizes, to);
  const char *borders[] = {"top", "bot", "left", "right"}, *wide[] = {"0", below, "0", right};
  image = apply("_cvcopyMakeBorder", image, 4, borders, wide);

  static unsigned char pixels[SIDE * SIDE * 3];
  check(MXNDArraySyncCopyToCPU(image, pixels, sizeof pixels));
  check(MXNDArrayFree(image));
  for (int channel = 0; channel < 3; ++channel)
    for (int pixel = 0; pixel < SIDE * SIDE; ++pixel)
      data[channel * SIDE * SIDE + pixel] = pixels[pixel * 3 + channel];
  return scale;
}

int main(int argc, char **argv) {
  if (argc != 3 && argc != 4) {
    fprintf(stderr, "usage: faces PREFIX PHOTO [SCORE]\n");
    return 2;
  }
  const float least = argc == 4 ? atof(argv[3]) : 0.5;
  static float data[3 * SIDE * SIDE];
  long symbol_size, params_size;
  char *symbol = read_all(argv[1], "-symbol.json", &symbol_size);
  char *params = read_all(argv[1], "-0000.params", &params_size);
  const float scale = letterbox(argv[2], data);

  const uint32_t shape[] = {1, 3, SIDE, SIDE}, bounds[] = {0, 4};
  const char *inputs[] = {"data"};
  PredictorHandle predictor;
  check(MXPredCreate(symbol, params, (int)params_size, CPU, 0, 1, inputs, bounds, shape, &predictor));
  check(MXPredSetInput(predictor, "data", data, sizeof data / sizeof *data));
  check(MXPredForward(predictor));

  uint32_t *sides, axes;
  check(MXPredGetOutputShape(predictor, 0, &sides, &axes));
  const uint32_t faces = sides[1];
  float *rows = malloc(faces * ROW * sizeof(float));
  check(MXPredGetOutput(predictor, 0, rows, faces * ROW));
  for (uint32_t face = 0; face < faces && rows[face * ROW] >= least; ++face)
    for (int column = 0; column < ROW; ++column)
      printf(column ? "%.2f%c" : "%.4f%c", rows[face * ROW + column] / (column ? scale : 1),
             column + 1 < ROW ? ' ' : '\n');
  free(rows);
  free(symbol);
  free(params);
  check(MXPredFree(predictor));
  /* Waits for MXNet's threads; a program that ends without it may abort or hang. */
  check(MXNotifyShutdown());
  return 0;
}
