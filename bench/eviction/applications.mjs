/**
 * Applications that the fleet builds. `rate`: builds a week; `settles`: weeks between two updates of the lockfile.
 * Direct dependencies only: clients resolve the rest.
 */
export const NPM = [
  {
    name: 'web',
    rate: 2,
    settles: 2,
    packages: words(
      'next react react-dom typescript @types/react eslint eslint-config-next tailwindcss jest @testing-library/react zod axios swr',
    ),
  },
  {
    name: 'api',
    rate: 1.5,
    settles: 3,
    packages: words(
      'express pg knex winston helmet jest supertest typescript @types/node @types/express ts-node eslint prettier nodemon',
    ),
  },
  {
    name: 'shop',
    rate: 1,
    settles: 3,
    packages: words(
      'vue vue-router pinia vite @vitejs/plugin-vue vitest vue-tsc eslint eslint-plugin-vue sass typescript',
    ),
  },
  {
    name: 'services',
    rate: 0.8,
    settles: 4,
    packages: words(
      '@nestjs/core @nestjs/common @nestjs/platform-express @nestjs/typeorm @nestjs/cli @nestjs/testing typeorm rxjs reflect-metadata jest ts-jest webpack',
    ),
  },
  {
    name: 'functions',
    rate: 0.6,
    settles: 3,
    packages: words(
      '@aws-sdk/client-s3 @aws-sdk/client-dynamodb @aws-sdk/client-sqs esbuild vitest typescript @types/aws-lambda pino',
    ),
  },
  {
    name: 'components',
    rate: 0.5,
    settles: 4,
    packages: words(
      'storybook @storybook/react-vite react react-dom vite @emotion/react @emotion/styled @mui/material typescript rollup',
    ),
  },
  {
    name: 'console',
    rate: 0.4,
    settles: 5,
    packages: words(
      '@angular/core @angular/common @angular/router @angular/forms @angular/cli @angular/build @angular/compiler-cli rxjs karma zone.js',
    ),
  },
  {
    name: 'manual',
    rate: 0.3,
    settles: 5,
    packages: words('@docusaurus/core @docusaurus/preset-classic @mdx-js/react prism-react-renderer react react-dom'),
  },
  {
    name: 'tool',
    rate: 0.3,
    settles: 4,
    packages: words('commander chalk inquirer ora mocha chai c8 eslint prettier yargs'),
  },
  {
    name: 'styles',
    rate: 0.2,
    settles: 6,
    packages: words(
      '@babel/core @babel/preset-env postcss postcss-preset-env autoprefixer stylelint stylelint-config-standard webpack webpack-cli css-loader html-webpack-plugin',
    ),
  },
  {
    name: 'portal',
    rate: 0.2,
    settles: 5,
    packages: words('svelte @sveltejs/kit @sveltejs/adapter-node vite svelte-check @playwright/test typescript'),
  },
  {
    name: 'gateway',
    rate: 0.1,
    settles: 6,
    packages: words('fastify @fastify/cors @apollo/server graphql graphql-tag ioredis tap typescript'),
  },
];

export const PYTHON = [
  {
    name: 'site',
    client: 'pip',
    rate: 1.2,
    settles: 3,
    packages: words('django djangorestframework celery redis psycopg2-binary gunicorn pillow pytest pytest-django'),
  },
  {
    name: 'service',
    client: 'uv',
    rate: 1,
    settles: 2,
    packages: words('fastapi uvicorn pydantic sqlalchemy alembic httpx pytest ruff mypy black pre-commit'),
  },
  {
    name: 'analysis',
    client: 'pip',
    rate: 0.7,
    settles: 4,
    packages: words('pandas numpy scipy scikit-learn matplotlib jupyterlab'),
  },
  {
    name: 'operations',
    client: 'uv',
    rate: 0.5,
    settles: 3,
    packages: words('ansible boto3 awscli kubernetes paramiko jinja2'),
  },
  {
    name: 'pipeline',
    client: 'uv',
    rate: 0.4,
    settles: 4,
    packages: words('pyarrow polars duckdb dbt-core sqlalchemy great-expectations'),
  },
  {
    name: 'models',
    client: 'pip',
    rate: 0.2,
    settles: 6,
    packages: words('transformers tokenizers onnxruntime huggingface-hub sentencepiece datasets'),
  },
];

export const GO = [
  {
    name: 'operator',
    rate: 0.9,
    settles: 4,
    packages: words('k8s.io/client-go/kubernetes sigs.k8s.io/controller-runtime'),
  },
  {
    name: 'backend',
    rate: 0.8,
    settles: 3,
    packages: words(
      'github.com/gin-gonic/gin gorm.io/gorm github.com/jackc/pgx/v5 github.com/spf13/viper github.com/spf13/cobra',
    ),
  },
  {
    name: 'telemetry',
    rate: 0.6,
    settles: 3,
    packages: words(
      'google.golang.org/grpc go.opentelemetry.io/otel go.opentelemetry.io/otel/sdk github.com/prometheus/client_golang/prometheus',
    ),
  },
  {
    name: 'storage',
    rate: 0.4,
    settles: 2,
    packages: words(
      'github.com/aws/aws-sdk-go-v2/config github.com/aws/aws-sdk-go-v2/service/s3 github.com/aws/aws-sdk-go-v2/service/dynamodb',
    ),
  },
  {
    name: 'secrets',
    rate: 0.2,
    settles: 5,
    packages: words('github.com/hashicorp/vault/api github.com/hashicorp/consul/api github.com/hashicorp/raft'),
  },
  {
    name: 'images',
    rate: 0.1,
    settles: 6,
    packages: words('github.com/google/go-containerregistry/pkg/crane'),
  },
];

/** Base images with packages of a distribution, which hardly change. */
export const DEBIAN = [
  { name: 'base', rate: 0.8, packages: words('ca-certificates curl git openssh-client jq') },
  { name: 'compiler', rate: 0.5, packages: words('build-essential cmake pkg-config libssl-dev') },
  { name: 'python', rate: 0.4, packages: words('python3 python3-venv python3-dev libpq-dev') },
  { name: 'java', rate: 0.2, packages: words('openjdk-17-jdk-headless maven') },
  { name: 'browser', rate: 0.2, packages: words('chromium fonts-liberation') },
];

/** Installations that happen once and never again: things that somebody tries out, and tools that walk over what they find. */
export const ONCE = [
  { type: 'npm', name: 'once-gatsby', packages: words('gatsby') },
  { type: 'npm', name: 'once-scripts', packages: words('react-scripts') },
  { type: 'pypi', name: 'once-streamlit', client: 'uv', packages: words('streamlit plotly') },
  { type: 'npm', name: 'once-native', packages: words('react-native expo') },
  { type: 'go', name: 'once-hugo', packages: words('github.com/gohugoio/hugo/hugolib') },
  { type: 'npm', name: 'once-electron', packages: words('electron-builder electron') },
  { type: 'pypi', name: 'once-vision', client: 'pip', packages: words('opencv-python-headless spacy playwright') },
  { type: 'npm', name: 'once-ember', packages: words('ember-cli ember-source') },
  { type: 'npm', name: 'once-parcel', packages: words('parcel gulp grunt') },
  { type: 'go', name: 'once-caddy', packages: words('github.com/caddyserver/caddy/v2') },
  { type: 'npm', name: 'once-wdio', packages: words('@wdio/cli @wdio/local-runner cypress') },
  { type: 'npm', name: 'once-lerna', packages: words('lerna nx') },
];

function words(text) {
  return text.split(' ');
}
