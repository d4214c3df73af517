"""django-post_office, tuned: many processes and threads, large batches, its log on; in an environment of its own.

Prints messages a second, from the first status written to the last one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import django
from django.conf import settings

DATABASE = dict(part.split("=", 1) for part in os.environ["RIVAL_DATABASE"].split())
OPTIONS = {
    "SECRET_KEY": "rival",
    "INSTALLED_APPS": ["django.contrib.contenttypes", "django.contrib.auth", "post_office"],
    "DATABASES": {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": DATABASE["dbname"],
            "USER": DATABASE["user"],
            "HOST": DATABASE["host"],
        }
    },
    "EMAIL_BACKEND": "post_office.EmailBackend",
    "EMAIL_HOST": "127.0.0.1",
    "EMAIL_PORT": int(os.environ["RIVAL_RELAY"]),
    "USE_TZ": True,
    "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
    "POST_OFFICE": {
        "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
        "BATCH_SIZE": 1000,
        "THREADS_PER_PROCESS": 10,
        "LOG_LEVEL": 2,
        "SENDING_ORDER": ["id"],
        "MESSAGE_ID_ENABLED": False,
        "CELERY_ENABLED": False,
    },
}
if not settings.configured:  # its own processes read this file again
    settings.configure(**OPTIONS)
    django.setup()

if __name__ == "__main__":
    from common import HTML, SENDER, TEXT
    from django.core.management import call_command
    from post_office.models import STATUS, Email

    if sys.argv[1] == "work":
        call_command("send_queued_mail", processes=2, verbosity=0, lockfile=sys.argv[2])
        sys.exit()
    many = int(sys.argv[1])
    call_command("migrate", verbosity=0)
    Email.objects.all().delete()
    Email.objects.bulk_create(
        [
            Email(
                from_email=SENDER,
                to=[f"p{n}@example.org"],
                subject=f"Ihr Termin, Patient {n}",
                message=TEXT.format(name=f"Patient {n}"),
                html_message=HTML.format(name=f"Patient {n}"),
                status=STATUS.queued,
                priority=2,
            )
            for n in range(many)
        ]
    )
    lock = f"/tmp/rival-{os.getpid()}"
    start = time.perf_counter()
    subprocess.run([sys.executable, __file__, "work", lock], check=True)
    took = time.perf_counter() - start
    sent = Email.objects.filter(status=STATUS.sent).count()
    if sent != many:
        raise SystemExit(f"only {sent} of {many} were sent")
    print(many / took)
