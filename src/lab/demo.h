/* demo.h - shows a network of real processes at work, step by step, with figures. */
#ifndef TRUNKLINE_LAB_DEMO_H
#define TRUNKLINE_LAB_DEMO_H

/* Run `lab demo`; argv[0] is "demo". Return the exit status: 0 when everything went as it should.
 */
int demo_run(int argc, char *const *argv);

#endif
