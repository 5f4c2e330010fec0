/*
 * ha-init: the first process of a node in the lab.
 *
 * usage: ha-init PIDFILE COMMAND [ARGUMENT]...
 *
 * Runs COMMAND, whose pid it writes to PIDFILE, and collects whatever that
 * leaves behind, as init does at once and the init of a container does not: a
 * dead postmaster that nobody has waited for still owns its lock files.  Ends
 * with the last of its children.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	FILE *file;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "usage: ha-init PIDFILE COMMAND...\n");
		return 64;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) == -1 ||
	    !(file = fopen(argv[1], "w"))) {
		perror(argv[1]);
		return 71;
	}
	pid = fork();
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(71);
	}
	fprintf(file, "%ld\n", (long)pid);
	if (fclose(file) != 0 || pid == -1) {
		perror(argv[1]);
		return 71;
	}
	while (wait(NULL) != -1)
		;
	return 0;
}
