/* typedef.h - hides a struct behind a name. */
#ifndef PLANTED_TYPEDEF_H
#define PLANTED_TYPEDEF_H

typedef struct point {
    int x;
} point_t;

#endif
