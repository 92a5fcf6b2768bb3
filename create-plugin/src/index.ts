export { createPlugin, TEMPLATES, type CreateOptions, type Template } from './create-plugin.js';
