/** `/docs`: the service's OpenAPI document for people, who can try its operations from here. */
import 'swagger-ui-dist/swagger-ui.css';
import SwaggerUI from 'swagger-ui-dist/swagger-ui-es-bundle.js';

SwaggerUI({
  dom_id: '#operations',
  url: '/openapi.json',
  // Otherwise a service of theirs is shown addresses that are not of this machine, and asked whether they are valid.
  validatorUrl: null,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
});
