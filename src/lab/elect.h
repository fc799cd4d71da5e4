/* elect.h - `lab elect`: elections of supernodes in virtual time, under churn and under attack. */
#ifndef TRUNKLINE_LAB_ELECT_H
#define TRUNKLINE_LAB_ELECT_H

/* argv[0] is "elect". Return the exit status: 0, or 1 when --check was given and a promise was not
 * kept, or 2 when an option was wrong. */
int elect_run(int argc, char *const *argv);

#endif
