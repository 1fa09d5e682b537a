# docker compose build        (one image for the API, the workers and the sweep)
#
# For a GPU worker: TORCH_INDEX=https://download.pytorch.org/whl/cu126 in .env takes torch's CUDA build.

FROM python:3.11.14-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ make && rm -rf /var/lib/apt/lists/*
WORKDIR /app
RUN python -m venv /opt/heirloom
ENV PATH=/opt/heirloom/bin:$PATH
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY constraints.txt ./
RUN pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" --extra-index-url https://pypi.org/simple torch
COPY pyproject.toml README.md LICENSE ./
COPY config ./config
COPY kernel ./kernel
COPY adapters ./adapters
COPY workers ./workers
COPY modelserver ./modelserver
ARG GGML_NATIVE=OFF
RUN CMAKE_ARGS="-DCMAKE_PROJECT_llama_cpp_INCLUDE=/app/config/llama_cpp.cmake -DGGML_NATIVE=$GGML_NATIVE" \
    pip install --no-cache-dir -c constraints.txt -e '.[train,graph,models,voice]' \
    && python -m adapters.converter /app/vendor/llama.cpp

FROM python:3.11.14-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home heirloom \
    && install -d -o heirloom -g heirloom /app /app/data /app/models
COPY --from=build /opt/heirloom /opt/heirloom
COPY --from=build /app /app
ENV PATH=/opt/heirloom/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TOKENIZERS_PARALLELISM=false \
    ANONYMIZED_TELEMETRY=False \
    LITELLM_LOCAL_MODEL_COST_MAP=True \
    HEIRLOOM_DATA_DIR=/app/data \
    HEIRLOOM_MODEL_DIR=/app/models \
    HEIRLOOM_LLAMA_CPP_DIR=/app/vendor/llama.cpp
WORKDIR /app
USER heirloom
EXPOSE 8000
CMD ["uvicorn", "--factory", "modelserver.app:create_app", "--host", "0.0.0.0", "--port", "8000", "--no-access-log"]
