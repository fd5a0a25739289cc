/* Reading files, for the programs beside this one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_file(const char *path, const char *mode) {
  FILE *file = fopen(path, mode);
  if (!file) {
    perror(path);
    exit(1);
  }
  return file;
}

/* The content of PREFIX + ENDING, with a 0 behind it; free it. */
static char *read_all(const char *prefix, const char *ending, long *size) {
  char *path = malloc(strlen(prefix) + strlen(ending) + 1);
  strcat(strcpy(path, prefix), ending);
  FILE *file = open_file(path, "rb");
  fseek(file, 0, SEEK_END);
  *size = ftell(file);
  rewind(file);
  char *content = calloc(*size + 1, 1);
  if (fread(content, 1, *size, file) != (size_t)*size) {
    fprintf(stderr, "%s: cannot be read\n", path);
    exit(1);
  }
  fclose(file);
  free(path);
  return content;
}
