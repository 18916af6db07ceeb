# The dashboard for a server: docker build -t mtm . ; how to run it: docs/serving.md
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1
WORKDIR /app

# First what seldom changes. torch's CPU build, in the version that requirements.txt pins: PyPI's
# would bring the CUDA libraries. What torch needs comes from PyPI, as constraints.txt pins it.
COPY requirements.txt constraints.txt ./
RUN pip install --no-deps "$(grep '^torch==' requirements.txt)" \
        --index-url https://download.pytorch.org/whl/cpu \
    && pip install --requirement requirements.txt --constraint constraints.txt \
    && pip install "streamlit[auth]" --constraint constraints.txt

# Program, model and samples belong to root: who runs the server can read them, not change them.
COPY . .
RUN pip install --no-deps --editable . \
    && useradd --create-home --uid 10001 mtm
USER 10001

EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["mtm", "app", "--address", "0.0.0.0", "--port", "8501", "--no-browser"]
