/* typedef.h - hides a struct behind a name. */
#ifndef PLANTED_TYPEDEF_H
#define PLANTED_TYPEDEF_H

typedef struct point {
    int x;
} point_t;

/* A name for a type of functions is fine. */
typedef enum color color_of(int x);
typedef enum color { RED } color;

#endif
