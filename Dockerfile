# One image; its role is the first argument: serve (the default), nightly, or another command of nbo-train.
# Both stages have the same base, since `make setup` looks at what its system lacks.
FROM python:3.12-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends make
WORKDIR /opt/nextbest
COPY Makefile pyproject.toml README.md LICENSE ./
COPY requirements/ requirements/
COPY scripts/openmp.py scripts/
COPY experiments/ experiments/
COPY models/ models/
COPY storage/ storage/
COPY training/ training/
COPY service/ service/
RUN make setup
COPY deploy/entrypoint.sh deploy/

FROM python:3.12-slim-bookworm
COPY --from=build /opt/nextbest /opt/nextbest
COPY --chown=10001:10001 deploy/store/ /var/lib/nextbest/
ENV PATH=/opt/nextbest/.venv/bin:$PATH \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    NEXTBEST_STORE=/var/lib/nextbest
USER 10001:10001
VOLUME /var/lib/nextbest
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", \
    "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["/opt/nextbest/deploy/entrypoint.sh"]
CMD ["serve"]
