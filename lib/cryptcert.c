#include "cryptcert.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

#define DAY_S 86400

int
cryptcert_left(const char *path, double *seconds, struct verr *e)
{
	FILE *file = fopen(path, "re");
	X509 *certificate;
	int days = 0, rest = 0, rc = 0;

	if (!file)
		return verr_sys(e, VERR_INPUT, "cannot read '%.150s'", path);
	certificate = PEM_read_X509(file, NULL, NULL, NULL);
	if (!certificate ||
	    ASN1_TIME_diff(&days, &rest, NULL,
			   X509_get0_notAfter(certificate)) != 1)
		rc = verr_set(e, VERR_INPUT, "'%.150s' is no certificate",
			      path);
	else
		*seconds = (double)days * DAY_S + rest;
	X509_free(certificate);
	fclose(file);
	return rc;
}
