/* paper.h - `lab paper`: figures that others have published, made again with our code. */
#ifndef TRUNKLINE_LAB_PAPER_H
#define TRUNKLINE_LAB_PAPER_H

/* argv[0] is "paper". Return the exit status: 0 when every figure is within its tolerance, 1 when
 * one is not, 2 when an option was wrong. */
int paper_run(int argc, char *const *argv);

#endif
